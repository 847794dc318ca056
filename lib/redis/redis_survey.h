/* Finds out what the servers are (a single Redis, a cluster, or what Sentinels name) and keeps the
 * newest map that is believed (redis_map.h). Its owner lends it the links to the owners of places.
 * If those do not answer, and for Sentinels, it has separate links: scouts. Loop thread only.
 */
#ifndef TALLY_REDIS_REDIS_SURVEY_H
#define TALLY_REDIS_REDIS_SURVEY_H

#include "redis/redis_link.h"
#include "redis/redis_map.h"
#include "redis/redis_url.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

enum redis_survey_kind {
    REDIS_SURVEY_UNKNOWN,
    REDIS_SURVEY_ONE,
    REDIS_SURVEY_CLUSTER,
    REDIS_SURVEY_SENTINEL
};

struct redis_survey;

/* The question under way on one link; one at a time. It belongs to the link's owner and
 * must not move while the link exists. {0} at first. */
struct redis_question {
    struct redis_survey *survey;
    struct redis_address at; /* of the server */
    bool scouting;           /* asked over a scout's link */
    unsigned awaited;        /* answers */
    uint64_t since_ms;
    struct redis_view view;
};

struct redis_survey_config {
    const struct redis_link_config *link; /* how to reach a server; outlives the survey */
    const struct redis_url *url;          /* seeds, Sentinel's name; copied */

    /* The kind was found out, or there is another map. Called from an answer: no link may be freed
     * in it. */
    void (*on_map)(void *user);
    void *user;
};

/* NULL: out of memory. */
struct redis_survey *redis_survey_new(struct event_base *base,
                                      const struct redis_survey_config *config);

/* After all links that were lent. */
void redis_survey_free(struct redis_survey *survey);

enum redis_survey_kind redis_survey_kind(const struct redis_survey *survey);
const struct redis_map *redis_survey_map(const struct redis_survey *survey);

/* Asks over a link that is up, unless the former question over it is not answered yet. */
void redis_survey_ask(struct redis_survey *survey, struct redis_question *question,
                      struct redis_link *link, const struct redis_address *at);

/* How long the question has waited for its answer; 0: there is none. */
uint64_t redis_survey_waits_ms(const struct redis_question *question);

/* Once in a while, and never from an answer: starts, moves and ends the scouts, and asks the
 * Sentinels in turns. `content`: the owner of every place is up. Returns whether it wants to be
 * called again soon. */
bool redis_survey_tick(struct redis_survey *survey, bool content);

/* Why there is no map, in a few words. Valid until the loop turns. */
const char *redis_survey_why(const struct redis_survey *survey);

/* The password in the link's configuration has changed. 0, or -1 when out of memory. */
int redis_survey_set_password(struct redis_survey *survey, const char *password);

#endif

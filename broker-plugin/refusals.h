/* The articles on which reactions were refused, and why (INTERFACES.md 2.8): the last
 * REFUSALS_KNOWN known articles and, separately, the last REFUSALS_UNKNOWN unknown ones, so that
 * made-up ids evict no known article. Counts are exact from `since` on. Pure, time comes in; one
 * thread. */
#ifndef TALLY_BROKER_PLUGIN_REFUSALS_H
#define TALLY_BROKER_PLUGIN_REFUSALS_H

#include "admit.h"

#include "core/reader.h"
#include "core/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REFUSALS_KNOWN 100
#define REFUSALS_UNKNOWN 20
/* The size of refusals_write's output: an article's id, its time, and each reason with 20
 * digits. */
#define REFUSALS_JSON_MAX_BYTES (1024 + (REFUSALS_KNOWN + REFUSALS_UNKNOWN) * 704)

/* The kind of flood that a connection was ended for. */
enum flood {
    FLOOD_REACTIONS, /* refused reactions */
    FLOOD_PUBLISH,   /* denied PUBLISH to other topics */
    FLOOD_SUBSCRIBE, /* SUBSCRIBE and UNSUBSCRIBE */
    FLOOD_PACKETS,   /* no event reports them: PINGREQ and the like */
    FLOOD_COUNT,
};

struct refusals;

/* All memory is allocated here. Articles are found by a hash under `key`; `seed` as in slots_new.
 * NULL if memory is short. */
struct refusals *refusals_new(const struct reader_key *key, uint64_t seed);
void refusals_free(struct refusals *refusals); /* NULL is fine */

/* Counts one. `known`: the article is known. `article` is a valid id. */
void refusals_count(struct refusals *refusals, const char *article, size_t article_bytes,
                    bool known, enum reason reason, uint64_t unix_ms);

/* Counts from elsewhere. */
struct refusals_sums {
    uint64_t refused[REASON_COUNT];
    uint64_t connections_rate;     /* connections refused by the limit of their address */
    uint64_t connections_no_room;  /* … because the client table is full */
    uint64_t flooded[FLOOD_COUNT]; /* … ended for flooding */
    uint64_t connections_sessions; /* … refused because their address has too many sessions */
    uint64_t connections_token;    /* … refused because their token was invalid */
    uint64_t connections_rate_signature; /* … by the limit of signatures */
    uint64_t receipts_dropped;
    struct admit_creations creations;
    uint64_t known, known_max, provisional; /* articles */
    uint64_t forgotten;
};

/* Whether anything was refused between the two; `all`: or articles were registered or forgotten. */
bool refusals_differ(const struct refusals_sums *one, const struct refusals_sums *other, bool all);

/* Writes the JSON, NUL-terminated. Returns its length. The most recently refused article comes
 * first. */
size_t refusals_write(const struct refusals *refusals, const struct refusals_sums *sums,
                      uint64_t unix_ms, char out[REFUSALS_JSON_MAX_BYTES]);

#endif

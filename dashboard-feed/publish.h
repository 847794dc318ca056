/* The feed's side of the broker: totals (INTERFACES.md 2.2), the mark (2.5), health (2.6), and
 * the collector's status (2.4). On libevent; loop thread only. */
#ifndef TALLY_FEED_PUBLISH_H
#define TALLY_FEED_PUBLISH_H

#include "broker_stats.h"
#include "core/total.h"
#include "cover.h"
#include "total_json.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUBLISH_EPOCH_BYTES 16
#define PUBLISH_RUN_BYTES 32

struct publish;

/* What this broker holds of a store: of each shard the score up to which it has all changes, and
 * the run of the shard's server (store_link_run) that held all of it. */
struct publish_mark {
    char epoch[PUBLISH_EPOCH_BYTES + 1]; /* of the feed's run that wrote it */
    char store[33];
    uint32_t shards;
    uint64_t covered[COVER_MAX_SHARDS];
    char run[COVER_MAX_SHARDS][PUBLISH_RUN_BYTES + 1]; /* "": not known */
};

struct publish_config {
    const char *host;
    int port;
    const char *user;
    const char *password;
    const char *prefix;                  /* before every topic */
    char epoch[PUBLISH_EPOCH_BYTES + 1]; /* of this run */
    /* Connected, and all that the broker retains under ops/ was heard: the mark, NULL if there
     * is none. */
    void (*on_ready)(void *user, const struct publish_mark *mark);
    void (*on_away)(void *user);
    /* A message on articles/ from another client; an empty payload has 0 bytes. First all that
     * the broker retains, after on_connected and before on_ready. Both NULL: it is not listened
     * for. */
    void (*on_connected)(void *user);
    void (*on_article)(void *user, const char *article, const char *payload, size_t bytes);
    /* After publish_list: what is retained under totals/, each; and that this was all. */
    void (*on_retained)(void *user, const char *article, size_t bytes, uint64_t version);
    void (*on_listed)(void *user);
    void (*on_collector)(void *user, const char *payload, size_t bytes); /* ops/collector */
    void (*on_quiet)(void *user, const char *payload, size_t bytes);     /* ops/quiet */
    void (*on_refusals)(void *user, const char *payload, size_t bytes);  /* ops/refusals */
    void (*on_marked)(void *user); /* the broker has the mark */
    void *user_data;
    bool hears_broker; /* what the broker says under $SYS/ */
};

struct publish_stats {
    uint64_t connects;
    uint64_t totals;
    uint64_t failures; /* totals that could not be handed on */
    uint64_t marks;
    uint64_t bytes;             /* of totals' payloads */
    struct broker_stats broker; /* as said since it was connected */
};

/* `health` is what ops/health says from the first connection on. NULL on no memory. */
struct publish *publish_new(struct event_base *base, const struct publish_config *config,
                            const char *health);

/* Sends DISCONNECT. on_away is not called. */
void publish_free(struct publish *publish);

/* mqtt_link_set_password. */
int publish_set_password(struct publish *publish, const char *password);

bool publish_ready(const struct publish *publish);

/* Why it is not ready, in a few words; "" while it is. */
const char *publish_why(const struct publish *publish);

/* Too much output is pending: hold back. */
bool publish_backed_up(const struct publish *publish);

/* Publishes a total, retained, QoS 0. Returns 0, or -1. */
int publish_total(struct publish *publish, const char *article, size_t bytes,
                  const struct total *total, const struct kinds *kinds);

/* Clears the article's retained total. Returns 0, or -1. */
int publish_no_total(struct publish *publish, const char *article, size_t bytes);

/* Tells the broker's plugin that others also touched an article (INTERFACES.md 2.10). Returns 0, or
 * -1. */
int publish_real(struct publish *publish, const char *article, size_t bytes);

/* Publishes an article's state (INTERFACES.md 2.9), retained, QoS 0; "" clears the retained one.
 * Returns 0, or -1. */
int publish_state(struct publish *publish, const char *article, size_t bytes, const char *json);

/* Publishes the mark, with this run's epoch, retained, QoS 1. Returns 0, or -1: not connected, or
 * the previous mark is not acknowledged yet. */
int publish_mark(struct publish *publish, const struct publish_mark *mark);

/* Asks the broker for the totals that it retains: on_retained for each, then on_listed, once,
 * unless the connection ends first. A broker may cut short a list longer than its queue
 * (max_queued_messages); on_listed then comes after a delay. Returns 0, or -1: not ready. */
int publish_list(struct publish *publish);

/* Whether a mark is in flight, not yet acknowledged. */
bool publish_marking(const struct publish *publish);

/* Publishes health, retained, now and at each connection. */
void publish_health(struct publish *publish, const char *json);

/* Publishes what the probe has shown (INTERFACES.md 2.11), retained, QoS 0; "": nothing any more.
 */
void publish_probe(struct publish *publish, const char *json);

/* Parses a mark. Returns 0, or -1 if it is not one. Pure. */
int publish_mark_parse(struct publish_mark *mark, const char *payload, size_t bytes);

/* A mark as JSON, the caller's to free; NULL on no memory. Pure. */
char *publish_mark_json(const struct publish_mark *mark);

struct publish_stats publish_stats(const struct publish *publish);

#endif

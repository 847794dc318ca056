/* The feed's connection to Redis, and the identity of the store there (FORMATS.md 5).
 * Asynchronous, on libevent. Loop thread only.
 *
 * A link is disconnected, away, or following. It is away while it is connected and there is no
 * store that it may follow. Only while it follows does it accept requests. Each request names the
 * store in the step that reads or writes, so another store's contents are never taken for this
 * one's. When the link finds another store, it is away first, and follows again only with that
 * store. A reply that does not come in time resets the connection. */
#ifndef TALLY_FEED_STORE_LINK_H
#define TALLY_FEED_STORE_LINK_H

#include "store_identity.h"

#include "redis/redis_link.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_LINK_RUN_BYTES 32
#define STORE_LINK_KEY_BYTES 32

struct store_link;

struct store_link_config {
    const char *host; /* or a path; copied */
    int port;
    const char *password;         /* NULL none; copied */
    void (*on_ready)(void *user); /* the link follows: after each connection, and when the store
                                     comes back */
    void (*on_away)(void *user);  /* it follows no longer; requests under way were or will be
                                     answered as failed */
    void (*on_lost)(void *user);  /* the connection was lost; after on_away. NULL: not called */
    void *user;
};

struct store_link_stats {
    uint64_t reconnects; /* connections that were lost */
    uint64_t ranges;
    uint64_t lookups;
    uint64_t hints;
    uint64_t timeouts;
    uint64_t went_back; /* times that a shard's version was lower than before */
    uint64_t bad;       /* heads, bases, states or members of the changed set of no known format */
};

/* NULL on no memory. */
struct store_link *store_link_new(struct event_base *base, const struct store_link_config *config);

/* Requests under way are answered as failed. on_away is not called. */
void store_link_free(struct store_link *link);

/* redis_link_set_password. */
int store_link_set_password(struct store_link *link, const char *password);

/* Whether it follows a store. */
bool store_link_ready(const struct store_link *link);

/* Why it is not ready, in a few words; "" while it is. Valid until the loop turns. */
const char *store_link_why(const struct store_link *link);

/* The collector's status arrived: the id of the store that it is ready with, or "". Only then does
 * the link switch to another store than the current one. */
void store_link_collector(struct store_link *link, const char *id);

/* Of the store, once read; they keep their values while it is away. */
uint32_t store_link_shards(const struct store_link *link);
const char *store_link_id(const struct store_link *link); /* 16 hex digits, or "" */
const struct kinds *store_link_kinds(const struct store_link *link);

/* The run of Redis that holds it, in up to STORE_LINK_RUN_BYTES characters. While it stays the
 * same, Redis has lost nothing. "" where Redis does not say. */
const char *store_link_run(const struct store_link *link);

/* Reads the store's kinds again, at most once a second. Call it when a total shows a kind without a
 * name. */
void store_link_reread(struct store_link *link);

struct store_link_stats store_link_stats(const struct store_link *link);

/* --- for what sends requests --- */

/* Sends one command. `callback` is called once, with NULL if the connection ends. Returns 0, or -1
 * while there is no connection or no memory: it is then not called. */
int store_link_send(struct store_link *link, redis_link_cb *callback, void *user, int n,
                    const char **words, const size_t *bytes);

/* Ends the connection because this reply makes no sense. NULL: nothing happens. */
void store_link_refuse(struct store_link *link, const redisReply *reply, const char *why);

/* A request found another store than the one followed, or none. */
void store_link_another(struct store_link *link);

/* A reply says that a shard has this version. It only rises, unless Redis lost data while the
 * connection stayed: then everything begins again, as in another run. Returns whether it went
 * back. */
bool store_link_version(struct store_link *link, uint32_t shard, uint64_t version);

/* Counts something stored that has no known format, and logs it (error, once in 10 s). */
void store_link_bad(struct store_link *link, const char *what, const char *article, size_t bytes);

/* Logs why Redis did not take a write (warning, once in 10 s). */
void store_link_not_written(struct store_link *link, const char *what, const char *why);

/* The link's own, to count in. */
struct store_link_stats *store_link_counters(struct store_link *link);

/* Writes a shard's key of this name: tally:{3}:heads. */
void store_link_key(char key[STORE_LINK_KEY_BYTES], uint32_t shard, const char *name);

#endif

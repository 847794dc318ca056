/* The feed's way to the store (FORMATS.md 5): whose identity it is, and which of its shards can be
 * asked. On redis_nodes, so each shard has its own server, and fails on its own. Loop thread only.
 *
 * The link follows a store once tally:store names one that it may follow. While tally:store cannot
 * be read it keeps the store that it follows. When it finds another store, or none, it
 * follows no longer, and follows again only with a store that it may follow.
 *
 * A shard is ready while the store is followed, the shard's server is there, and the shard's meta
 * names this store. Only then does it accept requests. It is away, and then ready again, whenever
 * its server may have lost something or another server has taken over. Each request names the store
 * in the step that reads or writes, so another store's contents are never taken for this one's. An
 * answer from a server that no longer has the shard counts as none. */
#ifndef TALLY_FEED_STORE_LINK_H
#define TALLY_FEED_STORE_LINK_H

#include "store_identity.h"
#include "store_report.h"

#include "redis/redis_key.h"
#include "redis/redis_nodes.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_LINK_RUN_BYTES 32

struct store_link;

struct store_link_config {
    struct redis_link_config redis; /* as in redis_nodes_config, as is the next */
    const struct redis_url *url;
    void (*on_ready)(void *user); /* a store is followed; its shards become ready one by one */
    void (*on_away)(void *user);  /* it is followed no longer; all its shards were away before */
    void (*on_shard)(void *user, uint32_t shard, bool ready); /* requests under way were or will be
                                                                 answered as failed */
    /* redis_nodes_config's: a connection for listening to the shard's server is up; what it says.
     * NULL: there are none. */
    void (*on_subscribe)(void *user, struct redis_link *redis, unsigned shard);
    redis_link_cb *on_message;
    void *user;
};

struct store_link_stats {
    uint64_t reconnects; /* connections that were lost */
    uint64_t ranges;
    uint64_t lookups;
    uint64_t hints;
    uint64_t timeouts;
    uint64_t went_back; /* times that a shard's version was lower than before */
    uint64_t bad; /* heads, bases, states or members of the changed set of an unknown format */
};

/* NULL on no memory. */
struct store_link *store_link_new(struct event_base *base, const struct store_link_config *config);

/* Requests under way are answered as failed. on_away and on_shard are not called. */
void store_link_free(struct store_link *link);

/* redis_nodes_set_password. */
int store_link_set_password(struct store_link *link, const char *password);

/* Whether it follows a store. */
bool store_link_ready(const struct store_link *link);

/* Whether this shard of the store accepts requests. A shard that the store does not have is not
 * ready. */
bool store_link_shard_ready(const struct store_link *link, uint32_t shard);

/* Whether the shard is ready, or its server is there and nothing is known against the shard. */
bool store_link_shard_there(const struct store_link *link, uint32_t shard);

/* The shards of the store followed that are not ready; 0 while none is followed. */
uint32_t store_link_shards_away(const struct store_link *link);

/* The part that is away and the reason, in a few words; "" while a store is followed and all of its
 * shards are ready. Valid until the next call. */
const char *store_link_why(struct store_link *link);

/* The collector's status arrived: the id of the store that it is ready with, or "". Only then does
 * the link switch to another store than the current one. */
void store_link_collector(struct store_link *link, const char *id);

/* Of the store, once read; they keep their values while it is away. */
uint32_t store_link_shards(const struct store_link *link);
const char *store_link_id(const struct store_link *link); /* 16 hex digits, or "" */
const struct kinds *store_link_kinds(const struct store_link *link);

/* The run of the server that has the shard, in up to STORE_LINK_RUN_BYTES characters: as it was
 * when the shard became ready last. While it stays the same, the shard has lost nothing. "" where
 * Redis does not say. */
const char *store_link_run(const struct store_link *link, uint32_t shard);

/* Reads the store's kinds again, at most once a second. Call it when a total shows a kind without a
 * name. */
void store_link_reread(struct store_link *link);

struct store_link_stats store_link_stats(const struct store_link *link);

/* --- for what sends requests --- */

/* Sends one command to the shard's server. `callback` is called once, with NULL if there is no
 * answer, or if it says that the shard is elsewhere or on its way there: the shard then is away for
 * a moment. Returns 0, or -1 while there is no connection or no memory: it is then not called. */
int store_link_send(struct store_link *link, uint32_t shard, redis_link_cb *callback, void *user,
                    int n, const char **words, const size_t *bytes);

/* Ends the connection to the shard's server because this reply makes no sense. NULL: nothing
 * happens. */
void store_link_refuse(struct store_link *link, uint32_t shard, const redisReply *reply,
                       const char *why);

/* A request found that the shard belongs to another store than the one followed, or to none. */
void store_link_another(struct store_link *link, uint32_t shard);

/* A reply says that a shard has this version. It only rises, unless Redis lost data while the
 * connection stayed: then the shard begins again, as in another run. Returns whether it went
 * back. */
bool store_link_version(struct store_link *link, uint32_t shard, uint64_t version);

/* The link's own, to count in. */
struct store_link_stats *store_link_counters(struct store_link *link);
struct store_report *store_link_report(struct store_link *link);

/* Writes a shard's key of this name (redis_key). */
void store_link_key(const struct store_link *link, char key[REDIS_KEY_BYTES], uint32_t shard,
                    const char *name);

#endif

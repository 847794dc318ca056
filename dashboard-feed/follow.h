/* The feed's reader of Redis (FORMATS.md 5): the store, the changed articles, and their heads,
 * bases and states. It also stores states. Asynchronous, on libevent. It uses two connections,
 * because one that subscribes can do nothing else. Loop thread only.
 *
 * While the store is there, follow is ready and accepts requests. Each request names the store in
 * the step that reads or writes, so another store's contents are never taken for this one's. When
 * follow finds another store, it is away first, and becomes ready again only with that store. A
 * reply that does not come in time resets the connection. */
#ifndef TALLY_FEED_FOLLOW_H
#define TALLY_FEED_FOLLOW_H

#include "core/article_state.h"
#include "core/total.h"
#include "total_json.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLLOW_STORE_ID_BYTES 16
#define FOLLOW_RUN_BYTES 32
#define FOLLOW_MAX_SHARDS 64
#define FOLLOW_RANGE_MAX 1000 /* changes a request */
#define FOLLOW_LOOKUP_MAX 256 /* articles a request */

struct follow;

struct follow_config {
    const char *host; /* or a path; copied */
    int port;
    const char *password; /* NULL none; copied */
    void (*on_ready)(
        void *user); /* the store is there: after each connection, and when it comes back */
    void (*on_away)(void *user); /* not ready any longer; requests under way were or will be
                                    answered as failed */
    void (*on_hint)(void *user,
                    uint32_t shard); /* something in this shard changed; only while ready */
    /* The state of this article (a valid id) changed; only while ready. NULL: not listened for. */
    void (*on_state)(void *user, const char *article, size_t bytes);
    void *user;
};

struct follow_change {
    const char *article;  /* valid during the callback */
    size_t article_bytes; /* 0: the member is not an article id */
    uint64_t version;
};

/* The result of follow_range. `got`: the members that Redis returned, more than `n` where a score
 * was not a version; -1: the request failed. */
typedef void (*follow_range_cb)(void *user, uint32_t shard, const struct follow_change *changes,
                                size_t n, long got);

enum follow_outcome {
    FOLLOW_FOUND,
    FOLLOW_NONE, /* nobody reacted to the article: all zero */
    FOLLOW_BAD,  /* the head or base is no head or base of format 1, or the state is none */
};

struct follow_total {
    const char *article; /* valid during the callback */
    size_t article_bytes;
    uint32_t shard;
    enum follow_outcome outcome;
    struct total total;
    const struct article_state *state; /* NULL: none; valid during the callback */
};

/* The result of follow_lookup; `totals` in the order asked for, NULL where the request failed. */
typedef void (*follow_lookup_cb)(void *user, const struct follow_total *totals, size_t n);

struct follow_article {
    const char *id; /* a valid article id */
    size_t bytes;
};

struct follow_stats {
    uint64_t reconnects; /* connections that were lost */
    uint64_t ranges;
    uint64_t lookups;
    uint64_t hints;
    uint64_t timeouts;
    uint64_t went_back; /* times that a shard's version was lower than before */
    uint64_t bad;       /* heads, bases, states or members of the changed set of no known format */
};

/* NULL on no memory. */
struct follow *follow_new(struct event_base *base, const struct follow_config *config);

/* Requests under way are answered as failed. on_away is not called. */
void follow_free(struct follow *follow);

/* redis_link_set_password, of both connections. */
int follow_set_password(struct follow *follow, const char *password);

bool follow_ready(const struct follow *follow);

/* Why it is not ready, in a few words; "" while it is. Valid until the loop turns. */
const char *follow_why(const struct follow *follow);

/* The collector's status arrived: the id of the store that it is ready with, or "". Only then does
 * follow switch to another store than the current one. */
void follow_collector(struct follow *follow, const char *store);

/* Of the store, once read; they keep their values while it is away. */
uint32_t follow_shards(const struct follow *follow);
const char *follow_store(const struct follow *follow); /* 16 hex digits, or "" */
const struct kinds *follow_kinds(const struct follow *follow);

/* The run of Redis that holds it, in up to FOLLOW_RUN_BYTES characters. While it stays the same,
 * Redis has lost nothing. "" where Redis does not say. */
const char *follow_run(const struct follow *follow);

/* Reads the store's kinds again, at most once a second. Call it when a total shows a kind without a
 * name. */
void follow_reread(struct follow *follow);

/* Asks for up to `limit` (FOLLOW_RANGE_MAX at most) changes of a shard with scores in (low, high],
 * from the lowest, or from the highest where `newest_first`; UINT64_MAX is no upper bound. Returns
 * 0, and calls back exactly once, or -1 while not ready. */
int follow_range(struct follow *follow, uint32_t shard, uint64_t low, uint64_t high,
                 bool newest_first, size_t limit, follow_range_cb callback, void *user);

/* Asks for the totals of up to FOLLOW_LOOKUP_MAX articles. Returns 0, and calls back exactly once,
 * or -1 while not ready. */
int follow_lookup(struct follow *follow, const struct follow_article *articles, size_t n,
                  follow_lookup_cb callback, void *user);

struct follow_state {
    const char *article; /* a valid id; valid during the callback, as what follows */
    size_t article_bytes;
    const struct article_state *state; /* NULL: it cannot be read */
};

/* The result of follow_states: some states of a shard, which may repeat earlier ones, and the next
 * cursor ("0": these were the last). NULL: the request failed. */
typedef void (*follow_states_cb)(void *user, uint32_t shard, const struct follow_state *states,
                                 size_t n, const char *cursor);

/* Asks for some of a shard's states, from the cursor on ("0": from the beginning). Returns 0, and
 * calls back exactly once, or -1 while not ready. */
int follow_states(struct follow *follow, uint32_t shard, const char *cursor,
                  follow_states_cb callback, void *user);

/* The result of follow_keep: the version with which the state is stored, or 0 where there was none
 * to remove. `later_ms` not 0: it is not stored; try again after that time. */
typedef void (*follow_keep_cb)(void *user, uint64_t version, uint32_t later_ms);

/* Stores an article's state, JSON without a version; "" takes it away. It gets a version above
 * `above`. Returns 0, and calls back exactly once, or -1 while not ready. */
int follow_keep(struct follow *follow, const char *article, size_t bytes, const char *json,
                uint64_t above, follow_keep_cb callback, void *user);

/* Gives an article a version above `above` in Redis, unless it has one. This is a change of the
 * article; its counts stay. An article without a head gets one of no voters. Calls back with the
 * resulting version, or, with `later_ms` not 0, that nothing was done. Returns 0, and calls back
 * exactly once, or -1 while not ready. */
int follow_touch(struct follow *follow, const char *article, size_t bytes, uint64_t above,
                 follow_keep_cb callback, void *user);

#define FOLLOW_SCRIPT_MAX 8 /* keys, and arguments */

struct follow_text {
    const char *text;
    size_t bytes;
};

/* The result of follow_script: the first word of its answer, or NULL. */
typedef void (*follow_script_cb)(void *user, const char *word);

/* Runs a script on the keys of these names of a shard and, last, tally:store; the last argument is
 * the store's id. A script that finds another there answers {'store'} and does nothing. Returns 0,
 * and calls back exactly once, or -1 while not ready. */
int follow_script(struct follow *follow, uint32_t shard, const struct follow_text *text,
                  const char *const *names, size_t keys, const char *const *arguments, size_t n,
                  follow_script_cb callback, void *user);

struct follow_stats follow_stats(const struct follow *follow);

#endif

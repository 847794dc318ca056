/* What Redis and this edge's broker hold of articles' states (INTERFACES.md 2.9), and what to do so
 * that they agree: which operators' requests to store in Redis, which states the broker misses, and
 * which are due to open or close. Pure: the caller supplies time and randomness; one thread.
 *
 * Redis's state counts, except for an article with an operator's request that is not stored yet:
 * nothing of it is published until it is stored. What Redis has is read, and may be lost, by shard.
 * The table is bounded and refuses states that do not fit. */
#ifndef TALLY_FEED_STATES_H
#define TALLY_FEED_STATES_H

#include "core/article.h"
#include "core/article_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct states;

#define STATES_MAX_SHARDS 64

struct states_config {
    size_t max;                             /* articles; at least 1 */
    unsigned char seed[ARTICLE_SEED_BYTES]; /* random: article_hash */
};

struct states_stats {
    size_t articles;   /* in the table */
    size_t requests;   /* not stored yet */
    size_t due;        /* that the broker misses */
    uint64_t refused;  /* times that one found no room */
    uint64_t restored; /* stored once more as Redis had lost them */
};

/* NULL on no memory. */
struct states *states_new(const struct states_config *config);
void states_free(struct states *states);

/* --- news from Redis and the broker --- */

/* Redis holds a store of this many shards. Until the first call it has one shard. `another`:
 * not the one that it held before; nothing is known to be stored. */
void states_store(struct states *states, uint32_t shards, bool another);

/* A connection to a broker begins: the broker holds only what it sends from now on. */
void states_new_broker(struct states *states, uint64_t unix_ms);

/* The broker holds this of an article (valid): NULL, not a state; version 0, an operator's
 * request; else published by a feed. False if there is no room. */
bool states_heard(struct states *states, const char *article, size_t bytes,
                  const struct article_state *state, uint64_t unix_ms);

/* The broker holds nothing of it, because an operator wants its state removed. */
bool states_heard_nothing(struct states *states, const char *article, size_t bytes);

/* Redis has this state of an article; NULL: none. A state older than the known one comes from a
 * Redis that lost its last seconds: the newer one must then be stored again. False if there is
 * no room. */
bool states_stored(struct states *states, const char *article, size_t bytes,
                   const struct article_state *state, uint64_t unix_ms);

/* Brackets a load of all states of a shard by states_stored. A known state of the shard that the
 * load does not report is gone, unless its version is at or above `lost_from_us`: Redis lost that
 * one, and it must be stored again. Until the end of the load nothing of the shard that the broker
 * holds counts as outdated. Until states_judge, nothing that it holds in a version at or above
 * Redis's does. */
void states_load_begin(struct states *states, uint32_t shard);
void states_load_end(struct states *states, uint32_t shard, uint64_t lost_from_us,
                     uint64_t unix_ms);

/* Once the broker told all that it holds, and after states_load_end: what it holds of the shard in
 * a version above Redis's was lost by Redis, and must be stored once more; where Redis has none,
 * if that version is from `lost_from_us` on (UINT64_MAX: nothing was lost). `another`: it may be
 * another store's; then Redis's counts, and gets a version above. */
void states_judge(struct states *states, uint32_t shard, bool another, uint64_t lost_from_us,
                  uint64_t unix_ms);

/* One of them could not be read: it stays unchanged. */
void states_load_skip(struct states *states, const char *article, size_t bytes);

/* --- states to store --- */

struct states_request {
    char article[ARTICLE_MAX_BYTES + 1]; /* NUL-terminated */
    size_t bytes;
    bool away;      /* removes the state */
    uint64_t above; /* the version that it is to pass: which the broker holds, or Redis had */
    struct article_state state;
};

/* Takes the next request that nobody has taken. False: there is none. */
bool states_take_request(struct states *states, struct states_request *out);

/* Redis has stored the request that was taken, with this version; 0 if there was nothing to remove.
 */
void states_request_stored(struct states *states, const char *article, size_t bytes,
                           uint64_t version, uint64_t unix_ms);

/* A taken request is not stored: it waits until states_retry_requests. Other requests do not wait
 * for it.
 */
void states_request_back(struct states *states, const char *article, size_t bytes);

/* The request that was taken is not stored and may be taken again. */
void states_retry_requests(struct states *states);

/* --- states to publish --- */

struct states_due {
    const char *article; /* the table's; valid until the next call */
    size_t bytes;
    const struct article_state *state; /* NULL: the broker shall hold none */
    bool open;
};

/* The next state that the broker misses, closed ones first. False: there is none. */
bool states_next_due(struct states *states, uint64_t unix_ms, struct states_due *out);

/* It was published. */
void states_published(struct states *states);

/* Marks what the broker holds of an article for another publication. */
void states_again(struct states *states, const char *article, size_t bytes);

/* --- time --- */

/* Milliseconds until the next state opens or closes; UINT64_MAX never. */
uint64_t states_next_ms(const struct states *states, uint64_t unix_ms);

/* Opens or closes the states that are due. Calls `shows` for each article whose totals are no
 * longer hidden. */
void states_expire(struct states *states, uint64_t unix_ms,
                   void (*shows)(void *user, const char *article, size_t bytes), void *user);

/* Calls `shows` with every article of the shard whose totals were hidden until a time that has
 * come.
 */
void states_shown(const struct states *states, uint32_t shard, uint64_t unix_ms,
                  void (*shows)(void *user, const char *article, size_t bytes), void *user);

/* --- hidden totals --- */

/* Whether the broker may still retain a total of an article whose totals are hidden. */
bool states_total_retained(const struct states *states, const char *article, size_t bytes);

/* What the broker retains of it: a total, or surely none. */
void states_set_total_retained(struct states *states, const char *article, size_t bytes,
                               bool there);

struct states_stats states_stats(const struct states *states);

#endif

/* What Redis and this edge's broker hold of articles' states (INTERFACES.md 2.9), and what is to be
 * done so that they agree: which operators' wishes are to be stored in Redis, which states the
 * broker lacks, and whose time to open or close has come. Pure: time and randomness come in; one
 * thread.
 *
 * What Redis says counts, but for an article of which an operator wishes something that is not
 * stored yet: nothing of it is published meanwhile. The table is bounded; what has no room in it is
 * refused. */
#ifndef TALLY_FEED_STATES_H
#define TALLY_FEED_STATES_H

#include "core/article.h"
#include "core/article_state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct states;

struct states_config {
    size_t max;                             /* articles; at least 1 */
    unsigned char seed[ARTICLE_SEED_BYTES]; /* random: article_hash */
};

struct states_stats {
    size_t articles;   /* in the table */
    size_t wishes;     /* not stored yet */
    size_t due;        /* that the broker lacks */
    uint64_t refused;  /* times that one found no room */
    uint64_t restored; /* stored once more as Redis had lost them */
};

/* NULL on no memory. */
struct states *states_new(const struct states_config *config);
void states_free(struct states *states);

/* --- what is heard --- */

/* A connection to a broker begins: it holds nothing but what is heard from now on. */
void states_new_broker(struct states *states, uint64_t unix_ms);

/* The broker holds this of an article (valid): NULL, what is no state; version 0, an operator's
 * wish; else what a feed has published. False where there is no room. */
bool states_heard(struct states *states, const char *article, size_t bytes,
                  const struct article_state *state, uint64_t unix_ms);

/* The broker holds nothing of it, as an operator wishes: its state is to be taken away. */
bool states_heard_nothing(struct states *states, const char *article, size_t bytes);

/* Redis has this state of an article; NULL: none. One that is older than what it had was brought
 * back by a Redis that lost its last seconds: then the newer one is to be stored once more. False
 * where there is no room. */
bool states_stored(struct states *states, const char *article, size_t bytes,
                   const struct article_state *state, uint64_t unix_ms);

/* All of Redis's states are about to be told by states_stored, or were: then those that were not
 * are no more, but that those of a version from `lost_from_us` on were lost by Redis, and are to be
 * stored once more. Until the end nothing that the broker holds is taken for outdated, and until
 * states_judge nothing that it holds in a version not below Redis's. `another`: it is another
 * store. */
void states_load_begin(struct states *states, bool another);
void states_load_end(struct states *states, uint64_t lost_from_us, uint64_t unix_ms);
/* Once the broker told all that it holds, and after states_load_end: what it holds of a version
 * above Redis's was lost by Redis, and is to be stored once more; where Redis has none, if that
 * version is from `lost_from_us` of its article's shard on (NULL: none is). `another`: it may be
 * another store's; then Redis's counts, and gets a version above. */
void states_judge(struct states *states, bool another, const uint64_t *lost_from_us,
                  uint32_t shards, uint64_t unix_ms);

/* One of them could not be read: it is left as it is. */
void states_load_skip(struct states *states, const char *article, size_t bytes);

/* --- what is to be stored --- */

struct states_wish {
    char article[ARTICLE_MAX_BYTES + 1]; /* NUL-terminated */
    size_t bytes;
    bool away;      /* the state is to be taken away */
    uint64_t above; /* the version that it is to pass: which the broker holds, or Redis had */
    struct article_state state;
};

/* Takes the next wish that nobody has taken. False: there is none. */
bool states_take_wish(struct states *states, struct states_wish *out);

/* What was taken is stored in Redis, with this version; 0 where there was nothing to take away. */
void states_wish_stored(struct states *states, const char *article, size_t bytes, uint64_t version,
                        uint64_t unix_ms);

/* What was taken is not stored: it waits until states_retry_wishes, and keeps no other waiting. */
void states_wish_back(struct states *states, const char *article, size_t bytes);

/* What was not stored may be taken again. */
void states_retry_wishes(struct states *states);

/* --- what is to be published --- */

struct states_due {
    const char *article; /* the table's; valid until the next call */
    size_t bytes;
    const struct article_state *state; /* NULL: the broker shall hold none */
    bool open;
};

/* The next that the broker lacks: what is closed first. False: there is none. */
bool states_next_due(struct states *states, uint64_t unix_ms, struct states_due *out);

/* It was published. */
void states_published(struct states *states);

/* What the broker holds of an article is to be published once more. */
void states_again(struct states *states, const char *article, size_t bytes);

/* --- time --- */

/* Milliseconds until the next state opens or closes; UINT64_MAX never. */
uint64_t states_next_ms(const struct states *states, uint64_t unix_ms);

/* Sees to those whose time has come. `shows` is called with those whose totals are hidden no
 * longer.
 */
void states_expire(struct states *states, uint64_t unix_ms,
                   void (*shows)(void *user, const char *article, size_t bytes), void *user);

/* Calls `shows` with every article whose totals were hidden until a time that has come. */
void states_shown(const struct states *states, uint64_t unix_ms,
                  void (*shows)(void *user, const char *article, size_t bytes), void *user);

/* --- hidden totals --- */

/* Whether the broker may still retain a total of an article whose totals are hidden. */
bool states_total_stands(const struct states *states, const char *article, size_t bytes);

/* What the broker retains of it: a total, or surely none. */
void states_total_is(struct states *states, const char *article, size_t bytes, bool there);

/* The table's own: they go on changing with it. */
const struct states_stats *states_stats(const struct states *states);

#endif

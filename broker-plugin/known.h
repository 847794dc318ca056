/* The articles that may be reacted to: those an operator gave a state, and, where `auto_create` is
 * on, those that readers found, at most so many a minute and so many in all. They lie in memory
 * laid out as the file `known` of the spool (FORMATS.md 4.5), so that a store into it is all
 * that keeps them when the broker is killed: no call, and no more for a reaction than for the
 * ring's. Killed at any instant, it leaves the former state of an article or the new one. Pure,
 * time comes in; one thread. */
#ifndef TALLY_BROKER_PLUGIN_KNOWN_H
#define TALLY_BROKER_PLUGIN_KNOWN_H

#include "creator.h"
#include "limit.h"

#include "core/article_state.h"
#include "core/kind.h"
#include "core/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KNOWN_MAX 1000000
/* What nobody reacted to for so long may be forgotten for a new one: a wish may come 7 days late.
 */
#define KNOWN_QUIET_HOURS (7 * 24)

struct known;

struct known_rules {
    uint32_t max;     /* articles; 1 to KNOWN_MAX */
    bool everything;  /* every article counts as known: nothing but states is kept */
    bool auto_create; /* a reaction may make its article known */
    struct limit_rate auto_create_rate;
    uint32_t forget_hours;         /* 0: never; what stays quiet for longer may be forgotten */
    struct reader_key key;         /* articles are found by a hash that nobody can choose */
    struct reader_key creator_key; /* random: of creators' tags */
    uint64_t seed;                 /* random */
    struct kind_table kinds;
};

/* Bytes of the file, and of the memory. */
size_t known_bytes(uint32_t max);

/* Makes zeroed memory an empty file of `max` articles. */
void known_format(unsigned char *memory, uint32_t max, const struct kind_table *kinds);

/* Whether a file is whole as a file, and of `max` articles and these kinds. (Each article and state
 * has a checksum of its own.) */
bool known_fits(const unsigned char *memory, size_t bytes, uint32_t max,
                const struct kind_table *kinds);

/* Reads what is in the memory, which fits and is borrowed. NULL for no memory. */
struct known *known_new(unsigned char *memory, const struct known_rules *rules);
void known_free(struct known *known); /* NULL is fine */

#define KNOWN_NO_MEMORY (-1)
#define KNOWN_TOO_MANY (-2)

/* Takes in the articles of another file, of any size, version 1 too, and in any state: the
 * operator's first, then the last used. Kinds are translated by their names; one that is not
 * configured any more is not offered. Returns 0, KNOWN_NO_MEMORY, or, and nothing is taken in,
 * KNOWN_TOO_MANY: more articles have a state than there is room for, and one that is closed must
 * not be forgotten. */
int known_take_over(struct known *known, const unsigned char *memory, size_t bytes);

uint32_t known_count(const struct known *known);
uint32_t known_damaged(const struct known *known); /* articles whose checksum was wrong */
/* States whose checksum was wrong: such an article is closed until it is told otherwise. */
uint32_t known_damaged_states(const struct known *known);

enum known_verdict {
    KNOWN_YES,
    KNOWN_MAY_BE, /* a reaction may make it known now */
    KNOWN_NO,
};

enum known_why {             /* KNOWN_NO */
                 KNOWN_OFF,  /* a reaction makes no article known */
                 KNOWN_RATE, /* too many were made known */
                 KNOWN_FULL, /* there is no room */
};

/* Who touches an article. */
struct known_who {
    uint64_t key;    /* of the address's limit; of the reader's, where there is no address */
    bool address;    /* which of them it is */
    uint64_t reader; /* the reader's hash for the article */
};

/* What was found, for known_use. Valid until the table is changed. */
struct known_answer {
    enum known_verdict verdict;
    enum known_why why;
    uint64_t key;
    uint32_t slot;
    const unsigned char *state; /* NULL: it has none; all kinds are offered, and it is open */
};

/* Judges a valid article. `now_ns`: of a clock that nobody sets. Changes nothing that counts. */
struct known_answer known_judge(struct known *known, const char *article, size_t article_bytes,
                                uint64_t now_ns, uint64_t unix_ms);

/* A reaction was admitted: the article is not stale, and known if it was not. The verdict was not
 * KNOWN_NO. An article that it made known is provisional (known_next_quiet) until it is touched by
 * another than `who`. */
void known_use(struct known *known, const struct known_answer *answer, const char *article,
               size_t article_bytes, const struct known_who *who, uint64_t now_ns,
               uint64_t unix_ms);

/* Somebody looks at a valid article: what was made known by another is not provisional any more.
 * `who->reader` is not looked at. */
void known_seen(struct known *known, const char *article, size_t article_bytes,
                const struct known_who *who);

/* Of an answer with a state: whether the kind (an index of the rules' table) is offered, `none`
 * always; and whether reactions are taken now. */
bool known_offers(const unsigned char *state, int kind);
bool known_takes(const unsigned char *state, uint64_t unix_ms);

enum known_outcome {
    KNOWN_TOLD,         /* it holds from now on */
    KNOWN_NO_ROOM,      /* all are the operator's */
    KNOWN_NO_SUCH_KIND, /* the operator names a kind that is not configured */
    KNOWN_OUTDATED,     /* the feed's, and no later than what an operator has changed since */
};

/* An article has this state: an operator's (version 0), or one that the feed passes on; of the
 * latter unknown kinds are left out. It is known by that; where there is no room, the stalest of
 * those without a state is forgotten. Nothing is changed but where the outcome is KNOWN_TOLD. */
enum known_outcome known_by_operator(struct known *known, const char *article, size_t article_bytes,
                                     const struct article_state *state, uint64_t unix_ms);

/* That was taken back: it is as if a reader had found it. `by_feed`: the feed passes that on; then
 * KNOWN_OUTDATED where an operator has given it a state since. */
enum known_outcome known_by_operator_no_more(struct known *known, const char *article,
                                             size_t article_bytes, bool by_feed);

/* The next article whose state no feed had passed on when the file was read, an operator's that may
 * be nowhere else by now: to be published again. False: there are no more. `article` is the
 * table's. */
bool known_next_unpassed(struct known *known, const char **article, size_t *article_bytes,
                         struct article_state *state);

/* The store has a total of it, so it was known once, here or on another edge: known, where
 * auto_create is on and there is room, or an article that is quiet. */
void known_by_total(struct known *known, const char *article, size_t article_bytes,
                    uint64_t unix_ms);

/* --- what hardly anyone touched --- */

/* An article that is provisional and was quiet for more than forget_hours, one of more than
 * CREATOR_KEPT of its creator. */
struct known_quiet {
    const char *article; /* the table's */
    size_t article_bytes;
    int readers; /* who reacted, and nobody else at this broker: the high 32 bits of their hashes */
    uint32_t reader[CREATOR_READERS_MAX];
};

enum known_search {
    KNOWN_FOUND,
    KNOWN_LATER, /* none in so many looks: the next call goes on there */
    KNOWN_END,   /* the next call begins at the first */
};

/* The next of them, behind the one before. `looks` is how many entries may yet be looked at, and is
 * counted down. One that is found counts as gone, and is found each time round, until
 * known_total_gone or known_is_real. */
enum known_search known_next_quiet(struct known *known, uint64_t unix_ms, uint32_t *looks,
                                   struct known_quiet *out);

/* The store has no total of it: it is forgotten, unless it has a state. */
void known_total_gone(struct known *known, const char *article, size_t article_bytes);

/* The store knows more of it than this broker does: it is not provisional. */
void known_is_real(struct known *known, const char *article, size_t article_bytes);

uint32_t known_provisional(const struct known *known); /* articles that are */
uint64_t known_forgotten(const struct known *known);   /* that were found quiet, since known_new */

#endif

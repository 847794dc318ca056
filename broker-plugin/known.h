/* The registry of articles that accept reactions: those that an operator gave a state and, if
 * `auto_create` is on, those that readers found, with a limit per minute and in total. It is laid
 * out in memory like the file `known` of the spool (FORMATS.md 4.5), so a plain store keeps an
 * entry even if the broker is killed. That takes no system call, and a reaction costs no more than
 * its write to the ring. A kill at any instant leaves the old state of an article or the new one.
 * Pure, time comes in; one thread. */
#ifndef TALLY_BROKER_PLUGIN_KNOWN_H
#define TALLY_BROKER_PLUGIN_KNOWN_H

#include "core/limit.h"
#include "creator.h"

#include "core/article_state.h"
#include "core/kind.h"
#include "core/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KNOWN_MAX 1000000
/* An article without reactions for this long may be evicted for a new one: a request may come 7
 * days late. */
#define KNOWN_QUIET_HOURS (7 * 24)

struct known;

struct known_rules {
    uint32_t max;     /* articles; 1 to KNOWN_MAX */
    bool everything;  /* every article counts as known: only states are kept */
    bool auto_create; /* a reaction may register its article */
    struct limit_rate auto_create_rate;
    uint32_t forget_hours; /* 0: never; articles that stay quiet for longer may be forgotten */
    struct reader_key key; /* articles are found by a hash that nobody can choose */
    struct reader_key creator_key; /* random: for the tags of creators */
    uint64_t seed;                 /* random */
    struct kind_table kinds;
};

/* Size of the file and of the memory, in bytes. */
size_t known_bytes(uint32_t max);

/* Turns zeroed memory into an empty file of `max` articles. */
void known_format(unsigned char *memory, uint32_t max, const struct kind_table *kinds);

/* Whether the file is intact as a whole, and of `max` articles and these kinds. (Each article and
 * state has its own checksum.) */
bool known_fits(const unsigned char *memory, size_t bytes, uint32_t max,
                const struct kind_table *kinds);

/* Reads the memory, which must fit and is borrowed. NULL if memory is short. */
struct known *known_new(unsigned char *memory, const struct known_rules *rules);
void known_free(struct known *known); /* NULL is fine */

#define KNOWN_NO_MEMORY (-1)
#define KNOWN_TOO_MANY (-2)

/* Imports the articles of another file, of any size, in any state, including version 1: the
 * operator's first, then the most recently used. Kinds are translated by name; an unconfigured one
 * is not offered. Returns 0, KNOWN_NO_MEMORY or KNOWN_TOO_MANY. The last imports nothing: more
 * articles have a state than fit, and a closed one must not be forgotten. */
int known_take_over(struct known *known, const unsigned char *memory, size_t bytes);

uint32_t known_count(const struct known *known);
uint32_t known_damaged(const struct known *known); /* articles whose checksum was wrong */
/* States whose checksum was wrong: such an article is closed until it gets a new state. */
uint32_t known_damaged_states(const struct known *known);

enum known_verdict {
    KNOWN_YES,
    KNOWN_MAY_BE, /* a reaction may register it now */
    KNOWN_NO,
};

enum known_why {             /* KNOWN_NO */
                 KNOWN_OFF,  /* reactions register no articles */
                 KNOWN_RATE, /* too many were registered */
                 KNOWN_FULL, /* the registry is full */
};

/* Who touches an article. */
struct known_who {
    uint64_t key;    /* of the address's limit, or of the reader's if there is no address */
    bool address;    /* which of the two it is */
    uint64_t reader; /* the reader's hash for the article */
};

/* The result of a lookup, for known_use. Valid until the table changes. */
struct known_answer {
    enum known_verdict verdict;
    enum known_why why;
    uint64_t key;
    uint32_t slot;
    const unsigned char *state; /* NULL: none; all kinds are offered, and it is open */
};

/* Judges a valid article. `now_ns`: from a clock that nobody sets. Changes nothing that counts. */
struct known_answer known_judge(struct known *known, const char *article, size_t article_bytes,
                                uint64_t now_ns, uint64_t unix_ms);

/* A reaction was admitted: the article becomes fresh, and is registered if it was not. The verdict
 * was not KNOWN_NO. A newly registered article is provisional (known_next_quiet) until someone
 * other than `who` touches it. */
void known_use(struct known *known, const struct known_answer *answer, const char *article,
               size_t article_bytes, const struct known_who *who, uint64_t now_ns,
               uint64_t unix_ms);

/* Somebody views a valid article: if someone else registered it, it is no longer provisional.
 * `who->reader` is ignored. */
void known_seen(struct known *known, const char *article, size_t article_bytes,
                const struct known_who *who);

/* For an answer with a state: whether the kind (an index of the rules' table) is offered, `none`
 * always; and whether reactions are open now. */
bool known_offers(const unsigned char *state, int kind);
bool known_takes(const unsigned char *state, uint64_t unix_ms);

enum known_outcome {
    KNOWN_TOLD,         /* it applies from now on */
    KNOWN_NO_ROOM,      /* every entry is the operator's */
    KNOWN_NO_SUCH_KIND, /* the operator names an unconfigured kind */
    KNOWN_OUTDATED,     /* from the feed, and not newer than an operator's change */
};

/* Gives an article this state: an operator's (version 0), or one that the feed passes on, whose
 * unknown kinds are dropped. That registers the article. If the registry is full, the stalest
 * article without a state is evicted. Nothing changes unless the outcome is KNOWN_TOLD. */
enum known_outcome known_by_operator(struct known *known, const char *article, size_t article_bytes,
                                     const struct article_state *state, uint64_t unix_ms);

/* The state was withdrawn: the article is now like one that a reader found. `by_feed`: the feed
 * passes that on; the outcome is KNOWN_OUTDATED if an operator has set a state since. */
enum known_outcome known_by_operator_no_more(struct known *known, const char *article,
                                             size_t article_bytes, bool by_feed);

/* The next article whose state no feed had passed on when the file was read. An operator set it and
 * this may be the only copy, so it must be published again. False: no more. `article` belongs to
 * the table. */
bool known_next_unpassed(struct known *known, const char **article, size_t *article_bytes,
                         struct article_state *state);

/* The store has a total for it, so it was known once, here or on another edge. It is registered if
 * auto_create is on and there is space or a quiet article to evict. */
void known_by_total(struct known *known, const char *article, size_t article_bytes,
                    uint64_t unix_ms);

/* --- articles that hardly anyone touched --- */

/* A provisional article that was quiet for more than forget_hours and is one of more than
 * CREATOR_KEPT of its creator. */
struct known_quiet {
    const char *article; /* belongs to the table */
    size_t article_bytes;
    int readers; /* who reacted, and nobody else at this broker: the high 32 bits of their hashes */
    uint32_t reader[CREATOR_READERS_MAX];
};

enum known_search {
    KNOWN_FOUND,
    KNOWN_LATER, /* none within the allowed looks: the next call continues there */
    KNOWN_END,   /* the next call begins at the first */
};

/* The next of them, after the previous one. `looks` is how many entries may still be examined, and
 * is decremented. A returned article counts as gone, and is returned every round, until
 * known_total_gone or known_is_real. */
enum known_search known_next_quiet(struct known *known, uint64_t unix_ms, uint32_t *looks,
                                   struct known_quiet *out);

/* The store has no total for it: it is forgotten, unless it has a state. */
void known_total_gone(struct known *known, const char *article, size_t article_bytes);

/* The store knows more about it than this broker does: it is no longer provisional. */
void known_is_real(struct known *known, const char *article, size_t article_bytes);

uint32_t known_provisional(const struct known *known); /* how many articles are provisional */
uint64_t known_forgotten(const struct known *known);   /* found quiet, since known_new */

#endif

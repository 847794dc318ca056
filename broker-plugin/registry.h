/* The registry of articles that accept reactions: those that an operator gave a state and, if
 * `auto_create` is on, those that readers found, with a limit per minute and in total. It is laid
 * out in memory like the file `registry` of the spool (FORMATS.md 4.5), so a plain store keeps an
 * entry even if the broker is killed. That takes no system call, and a reaction costs no more than
 * its write to the ring. A kill at any instant leaves the old state of an article or the new one.
 * Pure, time comes in; one thread. */
#ifndef TALLY_BROKER_PLUGIN_REGISTRY_H
#define TALLY_BROKER_PLUGIN_REGISTRY_H

#include "core/limit.h"
#include "creator.h"

#include "core/article_state.h"
#include "core/kind.h"
#include "core/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTRY_MAX 1000000
/* An article without reactions for this long may be evicted for a new one: a request may come 7
 * days late. */
#define REGISTRY_QUIET_HOURS (7 * 24)

struct registry;

struct registry_rules {
    uint32_t max;     /* articles; 1 to REGISTRY_MAX */
    bool everything;  /* every article counts as known: only states are kept */
    bool auto_create; /* a reaction may register its article */
    struct limit_rate auto_create_rate;
    uint32_t forget_hours; /* 0: never; articles that stay quiet for longer may be forgotten */
    struct reader_key key; /* articles are found by a hash that nobody can choose */
    struct reader_key creator_key; /* random: for the tags of creators */
    uint64_t seed;                 /* random */
    struct kind_table kinds;
};

/* Reads the memory, which must fit (registry_layout_fits) and is borrowed. NULL if memory is short.
 */
struct registry *registry_new(unsigned char *memory, const struct registry_rules *rules);
void registry_free(struct registry *registry); /* NULL is fine */

#define REGISTRY_NO_MEMORY (-1)
#define REGISTRY_TOO_MANY (-2)

/* Imports the articles of another file, of any size, in any state: the operator's
 * first, then the most recently used. Kinds are translated by name; an unconfigured one
 * is not offered. Returns 0, REGISTRY_NO_MEMORY or REGISTRY_TOO_MANY. The last imports nothing:
 * more articles have a state than fit, and a closed one must not be forgotten. */
int registry_import(struct registry *registry, const unsigned char *memory, size_t bytes);

uint32_t registry_count(const struct registry *registry);
uint32_t registry_damaged(const struct registry *registry); /* articles whose checksum was wrong */
/* States whose checksum was wrong: such an article is closed until it gets a new state. */
uint32_t registry_damaged_states(const struct registry *registry);

enum registry_verdict {
    REGISTRY_KNOWN,
    REGISTRY_MAY_REGISTER, /* a reaction may register it now */
    REGISTRY_UNKNOWN,
};

/* Why an article is REGISTRY_UNKNOWN. */
enum registry_why {
    REGISTRY_OFF,  /* reactions register no articles */
    REGISTRY_RATE, /* too many were registered */
    REGISTRY_FULL, /* the registry is full */
};

/* Who touches an article. */
struct registry_actor {
    uint64_t key;    /* of the address's limit, or of the reader's if there is no address */
    bool address;    /* which of the two it is */
    uint64_t reader; /* the reader's hash for the article */
};

/* The result of a lookup, for registry_use and (its state) registry_state.h. Valid until the table
 * changes. */
struct registry_answer {
    enum registry_verdict verdict;
    enum registry_why why;
    uint64_t key;
    uint32_t slot;
    bool asks_who; /* registry_use needs to know `who`; not if every article counts as known */
    const unsigned char *state; /* its stored copy; NULL: all kinds are offered, and it is open */
};

/* Judges a valid article. `now_ns`: from a clock that nobody sets. Changes nothing that counts. */
struct registry_answer registry_judge(struct registry *registry, const char *article,
                                      size_t article_bytes, uint64_t now_ns, uint64_t unix_ms);

/* A reaction was admitted: the article becomes fresh, and is registered if it was not. The verdict
 * was not REGISTRY_UNKNOWN. A newly registered article is provisional (registry_next_quiet) until
 * someone other than `who` touches it. */
void registry_use(struct registry *registry, const struct registry_answer *answer,
                  const char *article, size_t article_bytes, const struct registry_actor *who,
                  uint64_t now_ns, uint64_t unix_ms);

/* Somebody views a valid article: if someone else registered it, it is no longer provisional.
 * `who->reader` is ignored. */
void registry_viewed(struct registry *registry, const char *article, size_t article_bytes,
                     const struct registry_actor *who);

enum registry_outcome {
    REGISTRY_APPLIED,      /* it applies from now on */
    REGISTRY_NO_ROOM,      /* every entry is the operator's */
    REGISTRY_NO_SUCH_KIND, /* the operator names an unconfigured kind */
    REGISTRY_OUTDATED,     /* from the feed, and not newer than an operator's change */
};

/* Gives an article this state: an operator's (version 0), or one that the feed passes on, whose
 * unknown kinds are dropped. That registers the article. If the registry is full, the stalest
 * article without a state is evicted. Nothing changes unless the outcome is REGISTRY_APPLIED. */
enum registry_outcome registry_set_state(struct registry *registry, const char *article,
                                         size_t article_bytes, const struct article_state *state,
                                         uint64_t unix_ms);

/* The state was withdrawn: the article is now like one that a reader found. `by_feed`: the feed
 * passes that on; the outcome is REGISTRY_OUTDATED if an operator has set a state since. */
enum registry_outcome registry_clear_state(struct registry *registry, const char *article,
                                           size_t article_bytes, bool by_feed);

/* The next article whose state no feed had passed on when the file was read. An operator set it and
 * this may be the only copy, so it must be published again. False: no more. `article` belongs to
 * the table. */
bool registry_next_unpassed(struct registry *registry, const char **article, size_t *article_bytes,
                            struct article_state *state);

/* The store has a total for it, so it was known once, here or on another edge. It is registered if
 * auto_create is on and there is space or a quiet article to evict. */
void registry_total_found(struct registry *registry, const char *article, size_t article_bytes,
                          uint64_t unix_ms);

/* --- articles that hardly anyone touched --- */

/* A provisional article that was quiet for more than forget_hours and is one of more than
 * CREATOR_KEPT of its creator. */
struct registry_quiet {
    const char *article; /* belongs to the table */
    size_t article_bytes;
    int readers; /* who reacted, and nobody else at this broker: the high 32 bits of their hashes */
    uint32_t reader[CREATOR_READERS_MAX];
};

enum registry_search {
    REGISTRY_FOUND,
    REGISTRY_LATER, /* none within the allowed looks: the next call continues there */
    REGISTRY_END,   /* the next call begins at the first */
};

/* The next of them, after the previous one. `looks` is how many entries may still be examined, and
 * is decremented. A returned article counts as gone, and is returned every round, until
 * registry_total_gone or registry_confirm. */
enum registry_search registry_next_quiet(struct registry *registry, uint64_t unix_ms,
                                         uint32_t *looks, struct registry_quiet *out);

/* The store has no total for it: it is forgotten, unless it has a state. */
void registry_total_gone(struct registry *registry, const char *article, size_t article_bytes);

/* The store knows more about it than this broker does: it is no longer provisional. */
void registry_confirm(struct registry *registry, const char *article, size_t article_bytes);

/* How many articles are provisional, and how many were found quiet and forgotten since
 * registry_new. */
uint32_t registry_provisional(const struct registry *registry);
uint64_t registry_forgotten(const struct registry *registry);

#endif

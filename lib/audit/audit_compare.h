/* What differs along the chain registers + base → totals in Redis → retained total → HTTP. Pure;
 * any thread. */
#ifndef TALLY_AUDIT_AUDIT_COMPARE_H
#define TALLY_AUDIT_AUDIT_COMPARE_H

#include "audit/audit_count.h"

#include <stddef.h>
#include <stdint.h>

#define AUDIT_WHAT_BYTES 24
#define AUDIT_DIFFERENCES_MAX 48 /* of one article: more than all its links can have */

/* Between which two the difference is; the books' are found by others. */
enum audit_link { AUDIT_REGISTERS, AUDIT_REDIS, AUDIT_RETAINED, AUDIT_HTTP, AUDIT_BOOKS };

struct audit_difference {
    enum audit_link link;
    char what[AUDIT_WHAT_BYTES]; /* a kind's name, or "voters", "version", … */
    int64_t expected, found;
};

struct audit_differences {
    size_t n;
    struct audit_difference of[AUDIT_DIFFERENCES_MAX];
};

/* Kind names by the store's ids; [0] unused, "" none given. */
struct audit_kinds {
    char name[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1];
};

const char *audit_link_name(enum audit_link link);

/* Notes a difference; where expected equals found, none. */
void audit_differs(struct audit_differences *out, enum audit_link link, const char *what,
                   int64_t expected, int64_t found);

/* Registers against head, and what else must agree in Redis: the registers' places and form, the
 * version in the changed set, and the shard's last one. `total` becomes head + base. A base or a
 * kind of no known form is a difference, too: false where that leaves no total. */
bool audit_compare_registers(const struct audit_count *count, const struct audit_kinds *kinds,
                             struct total *total, struct audit_differences *out);

/* A head that is none, or an article that is gone. */
void audit_compare_damaged(struct audit_differences *out);

/* What somebody shows of an article. */
struct audit_shown {
    bool there;
    bool understood;
    bool hidden; /* it says so, and no more */
    uint64_t version;
    int64_t sum, count[KIND_MAX + 1]; /* by the store's kind id; those not shown are 0 */
    int64_t strange;                  /* counts of kinds that the store does not know */
};

void audit_compare_shown(const struct total *total, const struct audit_shown *shown,
                         enum audit_link link, const struct audit_kinds *kinds,
                         struct audit_differences *out);

/* The same of an article whose state hides its totals: the broker retains none, HTTP says that they
 * are hidden. */
void audit_compare_hidden(const struct audit_shown *shown, enum audit_link link,
                          struct audit_differences *out);

#endif

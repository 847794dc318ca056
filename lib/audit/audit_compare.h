/* Differences along the chain registers + base → totals in Redis → retained total → HTTP. Pure; any
 * thread. */
#ifndef TALLY_AUDIT_AUDIT_COMPARE_H
#define TALLY_AUDIT_AUDIT_COMPARE_H

#include "audit/audit_count.h"

#include <stddef.h>
#include <stdint.h>

#define AUDIT_WHAT_BYTES 24
#define AUDIT_DIFFERENCES_MAX 48 /* of one article: more than all its links can have */

/* The link at which values differ. Other code finds the differences in the books. */
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

/* Kind names by the store's ids; [0] unused, "" unassigned. */
struct audit_kinds {
    char name[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1];
};

const char *audit_link_name(enum audit_link link);

/* Records a difference, unless expected equals found. */
void audit_differs(struct audit_differences *out, enum audit_link link, const char *what,
                   int64_t expected, int64_t found);

/* Compares the registers with the head, and checks what else must agree in Redis: the registers'
 * places and form, the version in the changed set, and the shard's last version. `total` becomes
 * head + base. A base or kind in an unknown form is also a difference. Returns false if that makes
 * a total impossible. */
bool audit_compare_registers(const struct audit_count *count, const struct audit_kinds *kinds,
                             struct total *total, struct audit_differences *out);

/* Records a damaged head, or an article that is gone. */
void audit_compare_damaged(struct audit_differences *out);

/* What a publisher shows for an article. */
struct audit_shown {
    bool there;
    bool understood;
    bool hidden; /* it says that totals are hidden, and nothing else */
    uint64_t version;
    int64_t sum, count[KIND_MAX + 1]; /* by the store's kind id; 0 for kinds that are not shown */
    int64_t strange;                  /* counts of kinds that the store does not know */
};

void audit_compare_shown(const struct total *total, const struct audit_shown *shown,
                         enum audit_link link, const struct audit_kinds *kinds,
                         struct audit_differences *out);

/* The same for an article whose state hides its totals: the broker retains none, and HTTP says that
 * they are hidden. */
void audit_compare_hidden(const struct audit_shown *shown, enum audit_link link,
                          struct audit_differences *out);

#endif

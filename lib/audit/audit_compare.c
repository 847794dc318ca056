/* Compares two neighbouring links of the chain, number by number, and reports each difference. */
#include "audit/audit_compare.h"

#include <stdio.h>
#include <string.h>

const char *audit_link_name(enum audit_link link)
{
    static const char *const names[] = {"registers", "redis", "retained", "http", "books"};
    return names[link];
}

void audit_differs(struct audit_differences *out, enum audit_link link, const char *what,
                   int64_t expected, int64_t found)
{
    if (expected == found || out->n == AUDIT_DIFFERENCES_MAX)
        return;
    struct audit_difference *one = &out->of[out->n++];
    one->link = link;
    one->expected = expected;
    one->found = found;
    snprintf(one->what, sizeof one->what, "%s", what);
}

static void differs_by_kind(struct audit_differences *out, enum audit_link link,
                            const struct audit_kinds *kinds, int id, int64_t expected,
                            int64_t found)
{
    char what[AUDIT_WHAT_BYTES];
    if (kinds->name[id][0] != '\0')
        snprintf(what, sizeof what, "%s", kinds->name[id]);
    else
        snprintf(what, sizeof what, "kind id %d", id);
    audit_differs(out, link, what, expected, found);
}

bool audit_compare_registers(const struct audit_count *count, const struct audit_kinds *kinds,
                             struct total *total, struct audit_differences *out)
{
    if (total_parse_head(total, count->head, count->head_bytes) != 0) {
        audit_compare_damaged(out);
        return false;
    }
    for (int id = 1; id <= KIND_MAX; id++) {
        differs_by_kind(out, AUDIT_REGISTERS, kinds, id, count->count[id], total->count[id]);
        if (kinds->name[id][0] == '\0')
            audit_differs(out, AUDIT_REGISTERS, "of an unknown kind", 0, count->count[id]);
    }
    audit_differs(out, AUDIT_REGISTERS, "voters", (int64_t)count->registers,
                  (int64_t)total->voters);
    audit_differs(out, AUDIT_REGISTERS, "in a wrong bucket", 0, (int64_t)count->misplaced);
    audit_differs(out, AUDIT_REGISTERS, "of an unknown form", 0, (int64_t)count->malformed);
    audit_differs(out, AUDIT_REDIS, "version", (int64_t)count->changed, (int64_t)total->version);
    if (total->version > count->last_version)
        audit_differs(out, AUDIT_REDIS, "version", (int64_t)count->last_version,
                      (int64_t)total->version);
    if (count->base_bytes == 0)
        return true;
    bool known =
        count->base_bytes != SIZE_MAX && total_add_base(total, count->base, count->base_bytes) == 0;
    audit_differs(out, AUDIT_REDIS, "damaged base", 0, known ? 0 : 1);
    return known;
}

void audit_compare_damaged(struct audit_differences *out)
{
    audit_differs(out, AUDIT_REDIS, "damaged head", 0, 1);
}

void audit_compare_shown(const struct total *total, const struct audit_shown *shown,
                         enum audit_link link, const struct audit_kinds *kinds,
                         struct audit_differences *out)
{
    if (!shown->there) {
        audit_differs(out, link, "there", 1, 0);
        return;
    }
    if (!shown->understood) {
        audit_differs(out, link, "of an unknown form", 0, 1);
        return;
    }
    if (shown->hidden) {
        audit_differs(out, link, "hidden", 0, 1);
        return;
    }
    audit_differs(out, link, "version", (int64_t)total->version, (int64_t)shown->version);
    for (int id = 1; id <= KIND_MAX; id++)
        differs_by_kind(out, link, kinds, id, total->count[id], shown->count[id]);
    audit_differs(out, link, "of an unknown kind", 0, shown->strange);
    audit_differs(out, link, "total", total_sum(total), shown->sum);
}

void audit_compare_hidden(const struct audit_shown *shown, enum audit_link link,
                          struct audit_differences *out)
{
    if (link == AUDIT_RETAINED)
        audit_differs(out, link, "there", 0, shown->there ? 1 : 0);
    else
        audit_differs(out, link, "hidden", 1, shown->there && shown->hidden ? 1 : 0);
}

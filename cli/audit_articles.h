/* Follows articles along the chain registers → Redis → broker → HTTP. An article that differs is
 * checked again until it agrees or a bounded time has passed, finally with its shard paused.
 * Nothing moves then, so a difference that remains cannot be a total under way. One thread. */
#ifndef TALLY_CLI_AUDIT_ARTICLES_H
#define TALLY_CLI_AUDIT_ARTICLES_H

#include "report.h"
#include "retained.h"
#include "store_view.h"
#include "web.h"

struct audit_articles {
    struct report *report;
    struct store_view *store;
    struct retained *retained;
    struct web *web;
    uint64_t settle_ms; /* how long a differing total may still be under way */
};

/* Audits the listed articles; n 0: all that Redis or the broker has. The report names what could
 * not be checked. */
void audit_articles_run(const struct audit_articles *audit, const char *const *list, size_t n);

#endif

/* Follows articles along the chain registers → Redis → broker → HTTP. What differs is looked at
 * again until it agrees or a bounded time has passed, at last while its shard is paused: then
 * nothing moves, and what still differs is no total under way. One thread. */
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
    uint64_t settle_ms; /* so long what differs may still be under way */
};

/* Audits the listed articles; n 0: all that Redis or the broker has. What could not be checked
 * stands in the report. */
void audit_articles_run(const struct audit_articles *audit, const char *const *list, size_t n);

#endif

/* The collector's own audit: a few articles a minute, picked at random, are counted register by
 * register and compared with their totals in Redis (lib/audit). It reads one slice at a time, with
 * gaps, so as not to delay applying. Only an article that keeps changing and is not large is
 * counted in a pause of its shard (FORMATS.md 5.3). One thread, on a libevent loop. */
#ifndef TALLY_COLLECTOR_SELF_AUDIT_H
#define TALLY_COLLECTOR_SELF_AUDIT_H

#include "session.h"

#include "audit/audit_compare.h"

#include <event2/event.h>
#include <stdint.h>

struct self_audit_config {
    struct session *session;
    unsigned per_minute; /* 0: never */
    /* The JSON of ops/audit (INTERFACES.md 2.7) has changed. */
    void (*say)(void *user, const char *json);
    void *user;
};

/* What was found since the start. */
struct self_audit_counts {
    uint64_t audited, differing,
        skipped;    /* articles; skipped: they changed too fast to be counted */
    uint64_t at_ms; /* of the last, since 1970 */
    char article[ARTICLE_MAX_BYTES + 1]; /* the last */
    struct {
        uint64_t at_ms; /* 0: none was found */
        char article[ARTICLE_MAX_BYTES + 1];
        struct audit_difference difference; /* its first */
    } last;
};

struct self_audit;

/* NULL on no memory. */
struct self_audit *self_audit_new(struct event_base *base, const struct self_audit_config *config);

/* Call after the session's connection is gone: nothing may be under way. */
void self_audit_free(struct self_audit *audit);

/* Publishes it again, if there is anything to publish. */
void self_audit_say(const struct self_audit *audit);

const struct self_audit_counts *self_audit_counts(const struct self_audit *audit);

/* The JSON, to be freed by the caller; NULL on no memory. Pure. */
char *self_audit_write(const struct self_audit_counts *counts);

#endif

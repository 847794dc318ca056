/* What `tally watch` knows of an edge, from the topics of INTERFACES.md 2.4 to 2.8 and 2.11. Pure:
 * times are arguments, in ms of one clock that never goes back. One thread. */
#ifndef TALLY_CLI_WATCH_VIEW_H
#define TALLY_CLI_WATCH_VIEW_H

#include "core/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WATCH_VIEW_TEXT_BYTES 512
#define WATCH_VIEW_HISTORY 600 /* statuses, one a second */
#define WATCH_VIEW_AWAY_MS 5000
#define WATCH_VIEW_PAYLOAD_MAX_BYTES 1048576
#define WATCH_VIEW_GROUP_MAX 8
#define WATCH_VIEW_NAME_BYTES 32

/* A number that only rises, and how fast. */
struct watch_counter {
    bool known, rated; /* whether `value`, `per_s` mean something */
    double value, per_s;
    double from;      /* the value at from_ms, when the rate was last taken */
    uint64_t from_ms; /* of the clock of who counts */
};

/* Counters whose names come from the message, such as {"flood":0,"token":0}. */
struct watch_group {
    size_t n;
    struct {
        char name[WATCH_VIEW_NAME_BYTES];
        double value;
    } of[WATCH_VIEW_GROUP_MAX];
};

struct watch_view {
    char edge[17], store[17];
    char health[WATCH_VIEW_NAME_BYTES];  /* "" unknown */
    char reasons[WATCH_VIEW_TEXT_BYTES]; /* separated by "; " */
    bool feed;                           /* has left a mark (ops/feed) */

    bool probed; /* ops/probe came: these figures are known */
    bool probe_ok;
    double probe_receipt_ms, probe_total_ms; /* of the last probe; meaningless unless it is ok */
    char probe_reason[WATCH_VIEW_TEXT_BYTES];
    double probe_at_ms; /* by the edge's clock; since 1970 */

    uint64_t edge_ms, edge_at_ms; /* the edge's clock, and when a message told it */

    bool told, online; /* a collector's status came; it is not the will's */
    bool status;       /* one that is not the will's came: these figures are known */
    uint64_t told_ms;
    bool ready;
    char reason[WATCH_VIEW_TEXT_BYTES], refuses[WATCH_VIEW_TEXT_BYTES];
    double in_spool, in_spool_bytes, old_rings, held_shards, redis_away, clock_skew_ms;
    double lost, quarantined, damaged;

    struct watch_counter admitted, applied, published;
    struct watch_counter refused[REASON_COUNT];
    struct watch_group connections, floods, created_refused;
    bool refusals; /* ops/refusals came: these figures are known */
    double known, max_articles, provisional;
    double audited, audit_differing, audit_skipped;

    struct {
        uint64_t at_ms;
        double admitted;
    } history[WATCH_VIEW_HISTORY]; /* a ring */
    size_t first, kept;
};

void watch_view_init(struct watch_view *view);

/* A message. `topic` is without the prefix, such as "ops/health"; other topics than these, and
 * payloads that are not understood, change nothing. */
void watch_view_take(struct watch_view *view, const char *topic, const char *payload, size_t bytes,
                     uint64_t now_ms);

/* Notes one more published total. */
void watch_view_published(struct watch_view *view);

/* Once a second: rates of what is counted here, or has stopped. */
void watch_view_pass(struct watch_view *view, uint64_t now_ms);

/* Whether a collector says something, and not longer than WATCH_VIEW_AWAY_MS ago. */
bool watch_view_collector(const struct watch_view *view, uint64_t now_ms);

/* For how long the oldest reaction in the spool has waited at least; 0 if none waits. It was
 * admitted before the status in which `admitted` had passed it. */
uint64_t watch_view_oldest_ms(const struct watch_view *view, uint64_t now_ms);

/* How long ago the last probe ended, by the edge's clock; 0 if there was none. */
uint64_t watch_view_probe_age_ms(const struct watch_view *view, uint64_t now_ms);

/* The sum of all reasons; *per_s is 0 while no rate is known. */
double watch_view_refused(const struct watch_view *view, double *per_s);

#endif

/* The feed's probe (INTERFACES.md 2.11): its own reader reacts to its own article. The reader takes
 * the reaction back, makes it again, and so on, because only a change moves a total. At most one
 * probe is in flight. Each ends within PROBE_MAX_MS, with what it took or with the step that did
 * not happen.
 *
 * While the reader's last reaction is not known (after the start, and after a failure), the next
 * probe only withdraws it, waits for the receipt, and measures nothing. Every earlier reaction has
 * been applied by then.
 *
 * Pure: messages and times, in µs of one clock that never goes back, come in; one thread. */
#ifndef TALLY_FEED_PROBE_H
#define TALLY_FEED_PROBE_H

#include "core/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_MAX_MS 5000
#define PROBE_FAILS_FROM 2 /* failures in a row are a reason of /healthz */
#define PROBE_WHY_MAX_BYTES 120
#define PROBE_JSON_MAX_BYTES 1024
#define PROBE_CORRELATION_BYTES 21 /* with NUL */

/* The step that did not happen. */
enum probe_failure {
    PROBE_CONNECTION,
    PROBE_ACKNOWLEDGEMENT,
    PROBE_REFUSED, /* by the broker's plugin, or the receipt says something other than expected */
    PROBE_RECEIPT,
    PROBE_TOTAL,
    PROBE_FAILURES, /* none of them */
};

/* As a label and a member of ops/probe. */
const char *probe_failure_name(enum probe_failure failure);

enum probe_phase { PROBE_RESTING, PROBE_CONNECTING, PROBE_WAITING };

struct probe {
    uint64_t interval_us;
    uint64_t next_us;  /* the next one begins */
    uint64_t begun_us; /* … the last one began */
    uint64_t sent_us;  /* its PUBLISH */
    uint64_t number;   /* of the reaction: its correlation data */
    enum probe_phase phase;
    bool known;   /* whether the article's total, and so the reader's reaction, is known */
    bool raised;  /* the total is 1, or will be */
    bool refused; /* by PUBACK; the receipt has the reason */
    unsigned kind;
    /* What it took, µs; 0: has not happened. */
    uint64_t connect_us, acknowledge_us, receipt_us, total_us;
    bool withdrew; /* the last one that ended only took the reaction back: nothing was measured */
    /* Of the others that have ended: */
    bool ok;
    unsigned in_a_row; /* failures */
    char why[PROBE_WHY_MAX_BYTES];
    uint64_t done, failed[PROBE_FAILURES];
    struct histogram total_s, receipt_s;
};

/* The first probe begins an interval from now. Its correlation data is one above `number`, which is
 * random: the receipt of a former feed's reaction may still come. */
void probe_init(struct probe *probe, uint64_t interval_ms, uint64_t number, uint64_t now_us);

/* µs until probe_begin or probe_expire is due. */
uint64_t probe_rest_us(const struct probe *probe, uint64_t now_us);

/* Whether a probe begins now: connect. */
bool probe_begin(struct probe *probe, uint64_t now_us);

/* What to publish. */
struct probe_reaction {
    bool withdraw; /* `none` */
    unsigned kind; /* otherwise the (kind mod n)-th of the n kinds */
    char correlation[PROBE_CORRELATION_BYTES];
};

/* The connection is there, and the reaction goes out now. Only once after probe_begin. */
struct probe_reaction probe_connected(struct probe *probe, uint64_t now_us);

/* PUBACK. */
void probe_acknowledged(struct probe *probe, uint64_t now_us);
void probe_refused(struct probe *probe);

/* These return whether the probe has ended: disconnect. What belongs to an earlier probe, or is not
 * understood, changes nothing. Only live totals count, no retained ones. */
bool probe_hear_receipt(struct probe *probe, const void *correlation, size_t correlation_bytes,
                        const char *payload, size_t bytes, uint64_t now_us);
bool probe_hear_total(struct probe *probe, const char *payload, size_t bytes, uint64_t now_us);
bool probe_lost(struct probe *probe, uint64_t now_us); /* the connection has ended */

/* The same. `link_why`: why it could not connect, or "". */
bool probe_expire(struct probe *probe, const char *link_why, uint64_t now_us);

/* Gives up the one in flight, uncounted: the article is another one, or the secret is. */
void probe_abandon(struct probe *probe, uint64_t now_us);

/* Why /healthz is unhealthy: "" until PROBE_FAILS_FROM have failed in a row. */
const char *probe_why(const struct probe *probe);

/* ops/probe, for a valid article. */
void probe_json(const struct probe *probe, const char *article, uint64_t unix_ms,
                char out[PROBE_JSON_MAX_BYTES]);

#endif

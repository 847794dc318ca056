/* Drives a broker with reactions over many connections and keeps the books of what it answered. One
 * thread, one epoll. */
#ifndef TALLY_BENCH_DRIVE_H
#define TALLY_BENCH_DRIVE_H

#include "core/error.h"
#include "latency.h"
#include "load_settings.h"

#include <signal.h>
#include <stdint.h>

#define DRIVE_DRAIN_S 30 /* for the last answers, after the last reaction was sent */

struct drive_counts {
    uint64_t sent;         /* handed to the kernel, or meant to be when a connection broke */
    uint64_t acknowledged; /* QoS 1: PUBACKs that say success */
    uint64_t refused[128]; /* QoS 1: PUBACKs by reason code - 0x80 */
    uint64_t first;        /* those of `sent` that were no change or retraction … */
    uint64_t standing;     /* … and how many of those are not taken back in the end */
    uint64_t unanswered;   /* QoS 1: sent, and no PUBACK came */
    uint64_t connections_lost;
    uint64_t begun_ns, ended_ns; /* of meter_now_ns: first reaction, last answer */
    uint64_t cpu_ns;             /* this process's meanwhile */
    struct latency latency;      /* QoS 1: from publish to PUBACK */
};

struct drive;

/* Opens all connections; waits until each is accepted. `stop` may become non-zero at any time:
 * nothing more is sent then. NULL with a sentence in `error`. The settings and `stop` must outlive
 * it. */
struct drive *drive_new(const struct load_settings *settings, const volatile sig_atomic_t *stop,
                        struct error *error);
void drive_free(struct drive *drive);

/* Sends `reactions` and waits until the broker has dealt with every one: until its PUBACK at QoS 1;
 * until the answer to a PINGREQ behind the connection's last reaction at QoS 0. Bounded: by
 * settings->seconds for sending, and DRIVE_DRAIN_S for the answers. */
void drive_run(struct drive *drive, uint64_t reactions, struct drive_counts *counts);

/* In-flight reactions a connection, after the broker's Receive Maximum. */
unsigned drive_window(const struct drive *drive);

#endif

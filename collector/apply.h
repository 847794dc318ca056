/* The bookkeeping of one ring's calls: Redis's position, what is under way, where to continue after
 * a failure (DESIGN 5, 6 and its table "on start or mismatch"). Uses no Redis, ring or clock:
 * the simulator and the tests run this same code. One thread.
 *
 *   UNKNOWN ──ask──▶ ASKING ──position──▶ GOING ──failure──▶ SETTLING ──all answered──▶ UNKNOWN
 *                       └─ beyond the ring's end, or damage in it ──▶ ROTATING: awaits
 * another ring */
#ifndef TALLY_COLLECTOR_APPLY_H
#define TALLY_COLLECTOR_APPLY_H

#include "batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APPLY_PAUSE_MIN_MS 100
#define APPLY_PAUSE_MAX_MS 5000
#define APPLY_AUDIT_MIN_MS 4 /* between two looks whether an audit's pause is over */
#define APPLY_AUDIT_MAX_MS 32
#define APPLY_TRIES 2 /* of a single record that fails, before it is quarantined */
#define APPLY_HELD_BYTES 160
#define APPLY_POSITION_BYTES 40

/* A ring's position as Redis keeps it (FORMATS.md 5.2). */
struct apply_position {
    struct batch_point point;
    uint64_t quarantined, lost, edge;
};

/* Reads it; no bytes: nothing was applied, all 0. Returns 0, or -1 if it is not a position. */
int apply_read_position(struct apply_position *out, const void *in, size_t bytes);

/* --- where to continue --- */

enum apply_rule {
    APPLY_GO_ON,  /* from `start` */
    APPLY_OLDEST, /* from the oldest record; earlier ones are lost, which is logged */
    APPLY_AGAIN,  /* an old ring that Redis had read further: all of it again, which is harmless */
    APPLY_ROTATE, /* the ring ends before Redis's position: rename it and drain it */
};

/* The contents of the ring. `acknowledged` is the position up to which the outcomes are known.
 * Records that Redis applied beyond it are applied again from there, so that their receipts can be
 * given. The receipts are the same as the first time, because a repeat changes nothing. */
struct apply_ring {
    bool old; /* no longer written */
    uint64_t oldest, end, acknowledged;
};

enum apply_rule apply_rule(const struct apply_ring *ring, uint64_t position, uint64_t *start);

/* --- what an answer means --- */

enum apply_answer {
    APPLY_OK,
    APPLY_ELSEWHERE, /* Redis has another position */
    APPLY_NO_SCRIPT, /* it forgot the script */
    APPLY_WAIT,      /* not now: out of memory, read-only, loading, damaged keys, … */
    APPLY_POISON,    /* a record of the batch cannot be applied */
    APPLY_PAUSED,    /* the shard is being audited: not a failure, continues in a moment */
    APPLY_NO_ANSWER, /* the connection ended */
};

/* `of_record`: the script reports that a record of the batch caused the failure. */
enum apply_answer apply_judge(const char *error, bool of_record);

/* --- calls --- */

enum apply_state { APPLY_UNKNOWN, APPLY_ASKING, APPLY_GOING, APPLY_SETTLING, APPLY_ROTATING };

struct apply {
    enum apply_state state;
    unsigned in_flight;
    struct batch_point point; /* Redis's once all that is under way has succeeded */
    uint64_t acknowledged;    /* see apply_ring */
    uint64_t renew_until;     /* see apply_renews */
    unsigned failures;        /* in a row */
    unsigned pauses;          /* consecutive answers of APPLY_PAUSED */
    uint64_t wait_until_ms;
    uint64_t bisect_until;       /* one record per call up to here: one cannot be applied. 0: off */
    uint64_t suspect;            /* the record that failed last … */
    unsigned suspect_failures;   /* … and how often */
    char held[APPLY_HELD_BYTES]; /* why nothing is applied, "" */
};

void apply_init(struct apply *apply);

/* Whether to ask for the position now. */
bool apply_asks(const struct apply *apply, uint64_t now_ms);

/* In how many ms to check an audit's pause again; UINT64_MAX if there is none. */
uint64_t apply_paused_ms(const struct apply *apply, uint64_t now_ms);
void apply_asking(struct apply *apply);

/* The connection was lost, or another server has the shard, so Redis may be at another position
 * than the last one acknowledged. The position is requested again, at once, even if there is
 * nothing to send. */
void apply_resync(struct apply *apply);

/* Redis reported its position, and the caller has moved to where apply_rule says. `end` is the
 * ring's. */
void apply_resume(struct apply *apply, struct batch_point point, uint64_t start, uint64_t end);

/* Whether a batch may hold records that Redis had applied and has lost since: everything that was
 * in the ring when the position was requested. Their articles' totals may have been shown with
 * versions that Redis no longer knows, so they need new versions even if no count changes. */
bool apply_renews(const struct apply *apply, const struct batch_range *range);

/* Redis answered and has everything in the ring: any earlier hold is over. */
void apply_caught_up(struct apply *apply);

/* The request was not answered, or answered with an error (NULL: the connection ended). */
void apply_ask_failed(struct apply *apply, const char *error, uint64_t now_ms);

/* Nothing more can be taken from this ring. */
void apply_rotate(struct apply *apply, const char *why);

/* Whether another batch may be sent, how many records at most, and whether to
 * quarantine its (only) record. */
bool apply_sends(const struct apply *apply, unsigned in_flight_max);
size_t apply_limit(const struct apply *apply, size_t batch_records);
bool apply_quarantines(const struct apply *apply, const struct record *record);

void apply_sent(struct apply *apply, const struct batch_range *range);

/* A batch could not be built or sent: waits. */
void apply_hold(struct apply *apply, const char *why, uint64_t now_ms);

/* A batch was answered. `why` (may be NULL) tells what went wrong. */
void apply_answered(struct apply *apply, enum apply_answer answer, const struct batch_range *range,
                    const char *why, uint64_t now_ms);

#endif

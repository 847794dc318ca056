/* Receipts of refused reactions (INTERFACES.md 2.3), and how many of them a client gets. Pure; time
 * comes in. */
#ifndef TALLY_BROKER_PLUGIN_RECEIPT_H
#define TALLY_BROKER_PLUGIN_RECEIPT_H

#include "core/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A receipt costs the broker some allocations and a turn of its loop, a refused reaction next to
 * nothing: so a client that sends rubbish gets RECEIPT_BURST of them at once, then one each
 * RECEIPT_REFILL_MS. An honest one never meets the bound. */
#define RECEIPT_BURST 16
#define RECEIPT_REFILL_MS 250
#define RECEIPT_MAX_BYTES 512

struct receipt_budget {
    uint64_t refilled_ms; /* 0: not used yet */
    uint32_t left;
};

/* A full budget. */
void receipt_budget_init(struct receipt_budget *budget);

/* Takes one. False where none is left. A clock that went back refills nothing until it has caught
 * up with a burst's time. */
bool receipt_budget_take(struct receipt_budget *budget, uint64_t unix_ms);

/* Writes the JSON of a refusal, NUL-terminated, into `out` (RECEIPT_MAX_BYTES suffice).
 * `article_bytes` 0 and `reaction` NULL: not valid, left out. Both are of forms that need no
 * escape. Returns its length, or 0 where `out_bytes` is too small. */
size_t receipt_refusal(char *out, size_t out_bytes, const char *article, size_t article_bytes,
                       const char *reaction, enum reason reason);

#endif

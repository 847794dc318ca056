/* Receipts of refused reactions (INTERFACES.md 2.3), and how many of them a client gets. Pure. */
#ifndef TALLY_BROKER_PLUGIN_RECEIPT_H
#define TALLY_BROKER_PLUGIN_RECEIPT_H

#include "core/limit.h"

#include "core/reason.h"

#include <stddef.h>

#define RECEIPT_MAX_BYTES 512

/* A receipt costs the broker some allocations and a turn of its loop; a refused reaction costs
 * almost nothing. So a client that sends rubbish gets 16 receipts at once, then four a second. An
 * honest client never reaches the limit. */
extern const struct limit_rate receipt_rate;

/* Writes the JSON of a refusal, NUL-terminated, into `out` (RECEIPT_MAX_BYTES suffice).
 * `article_bytes` 0 and `reaction` NULL: not valid, left out. Neither form needs escaping. Returns
 * its length, or 0 if `out_bytes` is too small. */
size_t receipt_refusal(char *out, size_t out_bytes, const char *article, size_t article_bytes,
                       const char *reaction, enum reason reason);

#endif

/* One batch: records of one ring, grouped by article, as the arguments of one call of register.lua
 * (see there), and the range of the ring that the batch covers. Pure; one thread. */
#ifndef TALLY_COLLECTOR_BATCH_H
#define TALLY_COLLECTOR_BATCH_H

#include "core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_RECORDS_MAX 4000 /* register.lua answers 16-bit indices; a script must stay short */

/* How far Redis has applied a ring: the position, and how many records came before it. */
struct batch_point {
    uint64_t position, sequence;
};

/* What a batch covers. */
struct batch_range {
    struct batch_point from, to; /* Redis's position before and after the call */
    uint64_t first;              /* where the first record begins in the ring, … */
    struct batch_point end; /* … and where the last one ends, regardless of Redis's position */
    size_t records;         /* to be applied */
    size_t quarantined;     /* not to be applied, but moved to the spool's quarantine */
    uint64_t lost;
};

/* The argument vector of a call. */
struct batch_arguments {
    int n; /* headroom included */
    const char **argv;
    size_t *bytes;
};

struct batch;

/* The first `headroom` arguments are left for the caller of batch_finish. NULL on no memory. */
struct batch *batch_new(size_t max_records, size_t headroom);
void batch_free(struct batch *batch);

/* Empties the batch. `from` is Redis's position when the call runs. */
void batch_begin(struct batch *batch, struct batch_point from);

/* Adds a record to be applied, in the order of the ring. The record is a view, which must stay
 * valid until the batch is answered. `kind_id` is the store's. Sequences skipped before it count as
 * lost. A record before `from` is applied again and does not move the position. False: the batch is
 * full. */
bool batch_add(struct batch *batch, const struct record *record, uint8_t kind_id);

/* The same for a record that is quarantined instead of applied. One before `from` was applied
 * already and is only skipped. */
bool batch_quarantine(struct batch *batch, const struct record *record);

bool batch_empty(const struct batch *batch); /* there is nothing to send */

/* Valid until the batch is freed; rises with each record. */
const struct batch_range *batch_range(const struct batch *batch);

/* Makes the argument vector: after the headroom, each article and its votes. It points into the
 * batch and into the ring. */
struct batch_arguments batch_finish(struct batch *batch);

/* After batch_finish: the record at the script's index (from 0), NULL beyond the last. */
const struct record *batch_record(const struct batch *batch, size_t index);

/* The first record of the article with this number (from 1), or NULL. */
const struct record *batch_article(const struct batch *batch, size_t number);

#endif

/* One batch: records of one ring, grouped by article, as the arguments of one call of register.lua
 * (see there), and how far the batch moves the ring's position. Pure; one thread. */
#ifndef TALLY_COLLECTOR_TAKE_H
#define TALLY_COLLECTOR_TAKE_H

#include "core/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAKE_RECORDS_MAX 4000 /* register.lua answers 16-bit indices; a script must stay short */

/* How far Redis has applied a ring: the position, and how many records came before it. */
struct take_point {
    uint64_t position, sequence;
};

struct take;

struct take *take_new(size_t max_records); /* NULL on no memory */
void take_free(struct take *take);

/* Empties the batch. `from` is Redis's position when the call runs. */
void take_begin(struct take *take, struct take_point from);

/* Adds a record to be applied, in the order of the ring. The record is a view, which must stay
 * valid until the batch is answered. `kind_id` is the store's. Sequences skipped before it count as
 * lost. A record before `from` is applied again and does not move the position. False: the batch is
 * full. */
bool take_add(struct take *take, const struct record *record, uint8_t kind_id);

/* The same for a record that is set aside instead of applied. One before `from` was applied already
 * and is only skipped. */
bool take_set_aside(struct take *take, const struct record *record);

bool take_empty(const struct take *take);     /* there is nothing to send */
size_t take_records(const struct take *take); /* to be applied */
size_t take_aside(const struct take *take);   /* set aside */
uint64_t take_lost(const struct take *take);
struct take_point take_from(const struct take *take);
struct take_point take_to(const struct take *take);

/* Where the first record begins in the ring and where the last one ends, regardless of Redis's
 * position. */
uint64_t take_first(const struct take *take);
struct take_point take_end(const struct take *take);

size_t take_articles(const struct take *take);

/* Fills pairs of arguments, an article and its votes, from argv[at] on: 2 × take_articles. They
 * point into the batch and into the ring. */
void take_arguments(struct take *take, const char **argv, size_t *bytes, size_t at);

/* After take_arguments: the record at the script's index (from 0), NULL beyond the last. */
const struct record *take_record(const struct take *take, size_t index);

/* The first record of the article with this number (from 1), or NULL. */
const struct record *take_article(const struct take *take, size_t number);

#endif

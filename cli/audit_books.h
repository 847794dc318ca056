/* Takes the books of this host's edge and of Redis, while both work. One thread. */
#ifndef TALLY_CLI_AUDIT_BOOKS_H
#define TALLY_CLI_AUDIT_BOOKS_H

#include "report.h"
#include "store_view.h"

/* Adds the shard's positions in Redis to the books. Returns 0, or -1 with a sentence. */
int audit_books_positions(struct books *books, struct store_view *store, uint32_t shard,
                          struct error *why);

/* Fills report->books, and reports differences that remain after `limit_ms` (by clock_monotonic_ms)
 * and books that could not be taken. */
void audit_books_run(struct report *report, struct store_view *store, const char *spool,
                     uint64_t limit_ms);

#endif

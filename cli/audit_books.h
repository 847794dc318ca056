/* Takes the books of this host's edge and of Redis, while both work. One thread. */
#ifndef TALLY_CLI_AUDIT_BOOKS_H
#define TALLY_CLI_AUDIT_BOOKS_H

#include "report.h"
#include "store_view.h"

/* Fills report->books, and adds what differs: what still does after `limit_ms` (by
 * clock_monotonic_ms), or what could not be taken. */
void audit_books_run(struct report *report, struct store_view *store, const char *spool,
                     uint64_t limit_ms);

#endif

/* Counts and logs damage in the store: at most one line about each kind in 10 s. Loop
 * thread only. */
#ifndef TALLY_FEED_STORE_REPORT_H
#define TALLY_FEED_STORE_REPORT_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed: nothing was reported. */
struct store_report {
    uint64_t bad; /* heads, bases, states or members of the changed set of an unknown format */
    uint64_t bad_said_ms, not_written_said_ms; /* the last lines; 0 none */
};

/* Something stored of an article has no known format (error). */
void store_report_bad(struct store_report *report, const char *what, const char *article,
                      size_t bytes);

/* Why Redis did not take a write (warning). */
void store_report_not_written(struct store_report *report, const char *what, const char *why);

#endif

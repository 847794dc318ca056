/* The parts of a total's payload that the bench's subscribers need (INTERFACES.md, 2.2). Pure. */
#ifndef TALLY_BENCH_TOTAL_H
#define TALLY_BENCH_TOTAL_H

#include <stddef.h>
#include <stdint.h>

#define TOTAL_KIND_MAX_BYTES 16

struct total {
    uint64_t total, count, version;
};

/* The total, the count of `kind` and the version. -1 where one of them is missing. It is looked for
 * by the member's name, which an article's id cannot hold: that has no quotation marks. */
int total_read(const char *payload, size_t bytes, const char *kind, struct total *out);

/* A payload like the feed's, with so many reactions of one kind. Returns its bytes, 0 if they do
 * not fit. */
size_t total_write(char *out, size_t room, const char *article, const struct total *total);

#endif

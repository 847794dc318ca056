/* Recovery of a ring that is not written any more. Any thread. */
#ifndef TALLY_SPOOL_RING_SCAN_H
#define TALLY_SPOOL_RING_SCAN_H

#include "core/record.h"

#include <stdint.h>

/* Called for each whole record, in order of position. Return 0 to continue. Any other value ends
 * the scan, which returns it. */
typedef int (*ring_scan_fn)(void *user, const struct record *record);

struct ring_scan {
    uint64_t records; /* whole records */
    /* The least number of records known to be lost: sequences missing between whole records (the
     * exact number), plus one for each end at which the header's positions claim more than the scan
     * found (the exact number if the ring's first record is missing). */
    uint64_t damaged;
    uint64_t oldest,
        end; /* positions: first whole record, end of the last one; both 0 if there are none */
    uint64_t oldest_sequence, end_sequence; /* of the oldest; the next after the last */
};

/* Finds every whole record in the data by trying each aligned offset. It ignores the header's
 * positions, because after a power loss any page may be older than another. It keeps the records
 * within one capacity of the newest and calls `fn` (may be NULL) for each in order of position.
 * `out` may be NULL; if fn ends the scan, `out` describes the part already scanned. Allocates
 * nothing and reads the data twice. Returns 0, fn's result, or -1 if the header is damaged: without
 * the ring's id a record cannot be told from noise. */
int ring_scan(const void *memory, uint64_t bytes, ring_scan_fn fn, void *user,
              struct ring_scan *out);

#endif

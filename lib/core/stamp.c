/* Packs milliseconds and a counter into 52 bits, and bounds how far they run ahead. */
#include "core/stamp.h"

#define MS_MAX (STAMP_MAX / STAMP_COUNTS)

/* Milliseconds since the stamp epoch, limited to the range of a stamp. */
static uint64_t since_epoch_ms(uint64_t unix_ms)
{
    if (unix_ms < STAMP_EPOCH_UNIX_MS)
        return 0;
    uint64_t ms = unix_ms - STAMP_EPOCH_UNIX_MS;
    return ms < MS_MAX ? ms : MS_MAX;
}

uint64_t stamp_next(uint64_t *last, uint64_t unix_ms)
{
    uint64_t now = since_epoch_ms(unix_ms) * STAMP_COUNTS;
    uint64_t stamp = now;
    if (*last >= now && *last <= now + (uint64_t)STAMP_AHEAD_MAX_MS * STAMP_COUNTS)
        stamp = *last + 1;
    if (stamp > STAMP_MAX)
        stamp = STAMP_MAX;
    *last = stamp;
    return stamp;
}

uint64_t stamp_late(uint64_t *late, uint64_t unix_ms, uint32_t age_ms)
{
    uint64_t now_ms = since_epoch_ms(unix_ms);
    uint64_t clicked_ms = now_ms > age_ms ? now_ms - age_ms : 0;
    return clicked_ms * STAMP_COUNTS + (*late)++ % STAMP_COUNTS;
}

uint64_t stamp_unix_ms(uint64_t stamp)
{
    return STAMP_EPOCH_UNIX_MS + stamp / STAMP_COUNTS;
}

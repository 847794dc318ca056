/* ops/collector: any bytes are refused or understood within bounds; numbers are numbers. */
#include "collector_status.h"
#include "fuzz.h"

#include <math.h>

static void check_numbers(const struct collector_status *status)
{
    const double all[] = {status->clock_skew_ms,
                          status->admitted,
                          status->refusal_receipts_dropped,
                          status->applied,
                          status->fresh,
                          status->changed,
                          status->repeated,
                          status->superseded,
                          status->quarantined,
                          status->lost,
                          status->damaged,
                          status->in_spool,
                          status->in_spool_bytes,
                          status->batches,
                          status->receipts,
                          status->receipts_dropped,
                          status->wakeups,
                          status->redis_reconnects};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        FUZZ_CHECK(isfinite(all[i]));
    for (size_t i = 0; i < REASON_COUNT; i++)
        FUZZ_CHECK(isfinite(status->refused[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct collector_status status, again;
    int result = collector_status_parse(&status, (const char *)data, bytes);
    FUZZ_CHECK(result == 0 || result == -1);
    FUZZ_CHECK(status.n <= COVER_MAX_SHARDS);
    FUZZ_CHECK(memchr(status.reason, 0, sizeof status.reason) != NULL &&
               memchr(status.store, 0, sizeof status.store) != NULL);
    check_numbers(&status);
    if (result == -1 || !status.online)
        FUZZ_CHECK(!status.ready && status.n == 0 && status.store[0] == '\0');
    FUZZ_CHECK(collector_status_parse(&again, (const char *)data, bytes) == result &&
               memcmp(&again, &status, sizeof status) == 0);
    return 0;
}

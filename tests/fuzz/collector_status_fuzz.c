/* ops/collector: any bytes are refused or understood within bounds; numbers are numbers. */
#include "collector_status.h"
#include "fuzz.h"

#include <math.h>

static void check_numbers(const struct collector_status *status)
{
    for (size_t i = 0; i < REASON_COUNT; i++)
        FUZZ_CHECK(isfinite(status->refused[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct collector_status status, again;
    int result = collector_status_parse(&status, (const char *)data, bytes);
    FUZZ_CHECK(result == 0 || result == -1);
    FUZZ_CHECK(memchr(status.reason, 0, sizeof status.reason) != NULL &&
               memchr(status.store, 0, sizeof status.store) != NULL);
    check_numbers(&status);
    if (result == -1 || !status.online)
        FUZZ_CHECK(!status.ready && !status.producer && status.store[0] == '\0');
    FUZZ_CHECK(collector_status_parse(&again, (const char *)data, bytes) == result &&
               memcmp(&again, &status, sizeof status) == 0);
    return 0;
}

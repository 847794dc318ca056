/* Every lookup finds the same damage again, so lines about it must be few. */
#include "store_report.h"

#include "daemon/clock.h"
#include "daemon/log.h"

#include <stdbool.h>

#define SAY_MS 10000 /* between two lines about the same */

/* Whether it is time for another line; then notes it. */
static bool may_say(uint64_t *said_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (*said_ms != 0 && now_ms - *said_ms < SAY_MS)
        return false;
    *said_ms = now_ms;
    return true;
}

void store_report_bad(struct store_report *report, const char *what, const char *article,
                      size_t bytes)
{
    report->bad++;
    if (may_say(&report->bad_said_ms))
        log_line(LOG_LEVEL_ERROR, what, "article=%.*s", (int)(bytes > 200 ? 200 : bytes), article);
}

void store_report_not_written(struct store_report *report, const char *what, const char *why)
{
    if (may_say(&report->not_written_said_ms))
        log_line(LOG_LEVEL_WARNING, what, "reason=%s", why);
}

/* The names of the reasons, in the order of their numbers. */
#include "core/reason.h"

#include <stddef.h>

static const char *const names[REASON_COUNT] = {
    [REASON_BAD_TOPIC] = "bad_topic",
    [REASON_BAD_ARTICLE] = "bad_article",
    [REASON_UNKNOWN_ARTICLE] = "unknown_article",
    [REASON_BAD_PAYLOAD] = "bad_payload",
    [REASON_UNKNOWN_KIND] = "unknown_kind",
    [REASON_CLOSED] = "closed",
    [REASON_RATE_READER] = "rate_reader",
    [REASON_RATE_ADDRESS] = "rate_address",
    [REASON_BUSY] = "busy",
    [REASON_CLOCK] = "clock",
    [REASON_FORBIDDEN] = "forbidden",
};

const char *reason_name(int reason)
{
    return reason >= 0 && reason < REASON_COUNT ? names[reason] : NULL;
}

/* Why a reaction is rejected (INTERFACES.md 2.1). The numbers index the counters in the spool's
 * header. */
#ifndef TALLY_CORE_REASON_H
#define TALLY_CORE_REASON_H

enum reason {
    REASON_BAD_TOPIC = 0,
    REASON_BAD_ARTICLE = 1,
    REASON_UNKNOWN_ARTICLE = 2,
    REASON_BAD_PAYLOAD = 3,
    REASON_UNKNOWN_KIND = 4,
    REASON_CLOSED = 5,
    REASON_RATE_READER = 6,
    REASON_RATE_ADDRESS = 7,
    REASON_BUSY = 8,
    REASON_CLOCK = 9,
    REASON_FORBIDDEN = 10,
    REASON_COUNT = 11,
    REASON_NONE = -1, /* admitted */
};

/* "bad_topic", …; NULL if the number is not a reason. */
const char *reason_name(int reason);

#endif

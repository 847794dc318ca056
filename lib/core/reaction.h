/* Parses the payload of a reaction (INTERFACES.md 2.1): text or JSON, with or without a line end
 * after it. The parser is our own because admission must not allocate. It is strict where cJSON is
 * lenient (repeated members, numbers beyond a double, bytes after the value). Pure; any thread. */
#ifndef TALLY_CORE_REACTION_H
#define TALLY_CORE_REACTION_H

#include "core/kind.h"
#include "core/reason.h"

#include <stddef.h>
#include <stdint.h>

#define REACTION_PAYLOAD_MAX_BYTES 512
#define REACTION_AGE_MAX_MS 604800000u /* 7 days */
#define REACTION_READER_MAX_BYTES 128

struct reaction {
    int kind;            /* index in the table; KIND_NONE withdraws the reaction */
    uint32_t age_ms;     /* 0 to REACTION_AGE_MAX_MS */
    size_t reader_bytes; /* 0: not named in the payload */
    char reader[REACTION_READER_MAX_BYTES]; /* decoded, not NUL-terminated */
};

/* Parses a payload. Returns REASON_NONE and fills `out`, or returns REASON_BAD_PAYLOAD or
 * REASON_UNKNOWN_KIND and leaves `out` undefined. JSON strings may use every escape of RFC 8259. A
 * NUL, a lone surrogate or invalid UTF-8 is REASON_BAD_PAYLOAD. */
enum reason reaction_parse(const void *payload, size_t bytes, const struct kind_table *kinds,
                           struct reaction *out);

#endif

/* Parses heads and bases, which are text, and adds them up. */
#include "core/total.h"

#include "core/bytes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FORMAT 1
#define FLAG_FLOOR 1u
#define FLAG_FORGOTTEN 2u
#define LEVEL_MAX 15 /* 4^level buckets */
#define HEAD_BYTES 24u
#define HEAD_KIND_BYTES 5u
#define BASE_BYTES 2u
#define BASE_KIND_BYTES 9u

/* Records a kind id as seen. Returns false if it is impossible or was seen before. */
static bool first_seen(uint32_t *seen, unsigned id)
{
    if (id == KIND_NONE || id > KIND_MAX || (*seen & 1u << id))
        return false;
    *seen |= 1u << id;
    return true;
}

int total_parse_head(struct total *total, const void *head, size_t bytes)
{
    const unsigned char *in = head;
    if (bytes < HEAD_BYTES || in[0] != FORMAT || in[1] > FLAG_FORGOTTEN)
        return -1;
    unsigned kinds = in[23];
    bool floored = (in[1] & FLAG_FLOOR) != 0;
    size_t expected = HEAD_BYTES + kinds * HEAD_KIND_BYTES + (floored ? 8u : 0u);
    if (kinds > KIND_MAX || bytes != expected || in[18] > LEVEL_MAX ||
        bytes_get_u32(in + 19) >= UINT64_C(1) << 2 * in[18])
        return -1;

    memset(total, 0, sizeof *total);
    total->forgotten = in[1] == FLAG_FORGOTTEN;
    total->version = bytes_get_u64(in + 2);
    total->voters = bytes_get_u32(in + 14);
    unsigned last = KIND_NONE;
    const unsigned char *entry = in + HEAD_BYTES;
    for (unsigned i = 0; i < kinds; i++, entry += HEAD_KIND_BYTES) {
        if (entry[0] <= last || entry[0] > KIND_MAX)
            return -1;
        last = entry[0];
        total->count[entry[0]] = bytes_get_u32(entry + 1);
    }
    if (floored)
        total->floor = bytes_get_u64(entry);
    return 0;
}

int total_add_base(struct total *total, const void *base, size_t bytes)
{
    const unsigned char *in = base;
    if (bytes < BASE_BYTES || in[0] != FORMAT || in[1] > KIND_MAX ||
        bytes != BASE_BYTES + in[1] * BASE_KIND_BYTES)
        return -1;
    struct total sum = *total;
    uint32_t seen = 0;
    const unsigned char *entry = in + BASE_BYTES;
    for (unsigned i = 0; i < in[1]; i++, entry += BASE_KIND_BYTES) {
        int64_t count = (int64_t)bytes_get_u64(entry + 1);
        if (!first_seen(&seen, entry[0]) ||
            __builtin_add_overflow(sum.count[entry[0]], count, &sum.count[entry[0]]))
            return -1;
    }
    *total = sum;
    return 0;
}

int64_t total_sum(const struct total *total)
{
    int64_t sum = 0;
    for (int id = 1; id <= KIND_MAX; id++)
        if (__builtin_add_overflow(sum, total->count[id], &sum))
            return total->count[id] < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

void total_time(uint64_t version, char out[TOTAL_TIME_BYTES])
{
    time_t seconds = (time_t)(version / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc); /* cannot fail: 64 bits of µs never reach a year out of range */
    size_t bytes = strftime(out, TOTAL_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + bytes, TOTAL_TIME_BYTES - bytes, ".%03uZ", (unsigned)(version / 1000 % 1000));
}

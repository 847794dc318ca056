/* Reads and writes heads. It refuses what lib/lua/prelude.lua refuses. */
#include "head.h"

#include "core/bytes.h"

#include <string.h>

#define FORMAT 1
#define FLAG_FLOOR 1
#define FLAG_FORGOTTEN 2
#define LEVEL_MAX 15
#define FIXED_BYTES 24
#define COUNT_BYTES 5
#define FLOOR_BYTES 8

/* Returns 0, or -1 if the ids do not rise from 1 to 15. */
static int read_counts(struct head *head, const unsigned char *in, size_t n)
{
    unsigned last = 0;
    for (size_t i = 0; i < n; i++, in += COUNT_BYTES) {
        unsigned kind = in[0];
        if (kind <= last || kind > HEAD_KINDS)
            return -1;
        head->kinds |= 1U << kind;
        head->count[kind] = bytes_get_u32(in + 1);
        last = kind;
    }
    return 0;
}

int head_read(struct head *head, const unsigned char *in, size_t bytes)
{
    memset(head, 0, sizeof *head);
    if (bytes < FIXED_BYTES || in[0] != FORMAT || in[1] > FLAG_FORGOTTEN)
        return -1;
    head->stored = true;
    head->floored = in[1] == FLAG_FLOOR;
    head->forgotten = in[1] == FLAG_FORGOTTEN;
    head->version = bytes_get_u64(in + 2);
    head->number = bytes_get_u32(in + 10);
    head->voters = bytes_get_u32(in + 14);
    head->level = in[18];
    head->split = bytes_get_u32(in + 19);
    size_t counts_end = FIXED_BYTES + (size_t)COUNT_BYTES * in[23];
    if (bytes != counts_end + (head->floored ? FLOOR_BYTES : 0) || head->level > LEVEL_MAX ||
        head->split >= UINT64_C(1) << 2 * head->level)
        return -1;
    if (head->floored)
        head->floor = bytes_get_u64(in + counts_end);
    return read_counts(head, in + FIXED_BYTES, in[23]);
}

size_t head_write(const struct head *head, unsigned char out[HEAD_MAX_BYTES])
{
    unsigned char *at = out + FIXED_BYTES;
    out[0] = FORMAT;
    out[1] = head->floored ? FLAG_FLOOR : head->forgotten ? FLAG_FORGOTTEN : 0;
    bytes_put_u64(out + 2, head->version);
    bytes_put_u32(out + 10, head->number);
    bytes_put_u32(out + 14, head->voters);
    out[18] = (unsigned char)head->level;
    bytes_put_u32(out + 19, head->split);
    for (unsigned kind = 1; kind <= HEAD_KINDS; kind++)
        if (head->kinds >> kind & 1) {
            at[0] = (unsigned char)kind;
            bytes_put_u32(at + 1, head->count[kind]);
            at += COUNT_BYTES;
        }
    out[23] = (unsigned char)((at - out - FIXED_BYTES) / COUNT_BYTES);
    if (head->floored) {
        bytes_put_u64(at, head->floor);
        at += FLOOR_BYTES;
    }
    return (size_t)(at - out);
}

void head_count(struct head *head, unsigned kind, int64_t by)
{
    int64_t count = (head->kinds >> kind & 1 ? head->count[kind] : 0) + by;
    head->kinds &= ~(1U << kind);
    if (count <= 0)
        return;
    head->kinds |= 1U << kind;
    head->count[kind] = (uint32_t)count;
}

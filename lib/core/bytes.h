/* Little-endian integers in files and records (INTERFACES.md), at any alignment. Pure; any thread.
 */
#ifndef TALLY_CORE_BYTES_H
#define TALLY_CORE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t bytes_get_u16(const void *in)
{
    uint16_t value;
    memcpy(&value, in, sizeof value);
    return le16toh(value);
}

static inline uint32_t bytes_get_u32(const void *in)
{
    uint32_t value;
    memcpy(&value, in, sizeof value);
    return le32toh(value);
}

static inline uint64_t bytes_get_u64(const void *in)
{
    uint64_t value;
    memcpy(&value, in, sizeof value);
    return le64toh(value);
}

static inline void bytes_put_u16(void *out, uint16_t value)
{
    value = htole16(value);
    memcpy(out, &value, sizeof value);
}

static inline void bytes_put_u32(void *out, uint32_t value)
{
    value = htole32(value);
    memcpy(out, &value, sizeof value);
}

static inline void bytes_put_u64(void *out, uint64_t value)
{
    value = htole64(value);
    memcpy(out, &value, sizeof value);
}

#endif

/* FNV-1a, 64 bits (Fowler, Noll, Vo): for tags and tables, not against
 * an attacker. Pure; any thread. */
#ifndef TALLY_CORE_FNV_H
#define TALLY_CORE_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t fnv_add(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *in = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ in[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif

/* CRC32C (Castagnoli, RFC 3720 B.4). Uses the processor's instruction if it has one, otherwise a
 * table. Pure; any thread. */
#ifndef TALLY_CORE_CRC32C_H
#define TALLY_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues the CRC `crc` with `bytes` bytes at `data`. Start with 0. crc32c(0, "123456789", 9) is
 * 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);

/* The same, always by table. Processors without the instruction use it, and tests compare the
 * instruction with it. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t bytes);

#endif

/* CRC32C (Castagnoli, RFC 3720 B.4): by the processor's instruction where it has one, else by
 * table. Pure; any thread. */
#ifndef TALLY_CORE_CRC32C_H
#define TALLY_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what `crc` stands for followed by `bytes` bytes at `data`. Begin with 0.
 * crc32c(0, "123456789", 9) is 0xe3069283. */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);

/* The same, always by table: what processors without the instruction do, and what tests hold the
 * instruction against. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t bytes);

#endif

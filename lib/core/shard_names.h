/* Names some of the shards for a reader. Pure; any thread. */
#ifndef TALLY_CORE_SHARD_NAMES_H
#define TALLY_CORE_SHARD_NAMES_H

#include <stdbool.h>

#define SHARD_NAMES_BYTES 96

/* Of `n` shards those where `of` is true: "shard 3", "shards 1-3, 6 of 8", or "20 of 64 shards"
 * where the list would be too long. */
void shard_names_write(char out[SHARD_NAMES_BYTES], const bool *of, unsigned n);

#endif

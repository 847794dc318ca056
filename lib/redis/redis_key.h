/* The names of Tally's keys and channels in Redis (FORMATS.md 5). A place is what a key is about: a
 * shard, or the store itself. Pure; any thread. */
#ifndef TALLY_REDIS_REDIS_KEY_H
#define TALLY_REDIS_REDIS_KEY_H

#include <stdbool.h>

#define REDIS_PLACE_STORE 64 /* places 0 to 63 are shards */
#define REDIS_PLACES 65

#define REDIS_KEY_PREFIX "tally:" /* unless the operator wants another one */
#define REDIS_KEY_PREFIX_MAX_BYTES 32
#define REDIS_KEY_PREFIX_ACCEPTS "1 to 32 letters, digits, :, ., _ and -"
#define REDIS_KEY_BYTES 128 /* with the NUL */

/* A collector writes `seen:<edge id>` this often. An edge that has missed three is gone. */
#define REDIS_SEEN_EVERY_S 30
#define REDIS_SEEN_GONE_S (3 * REDIS_SEEN_EVERY_S)

/* Writes `<prefix>{3}:heads` for shard 3 and the name "heads". For REDIS_PLACE_STORE it writes
 * `<prefix>store`, and `name` is not used (NULL). The braces keep a shard in one slot of a cluster.
 * A name that does not fit is cut: none of Tally's is that long. */
void redis_key(char key[REDIS_KEY_BYTES], const char *prefix, unsigned place, const char *name);

/* Whether it is as REDIS_KEY_PREFIX_ACCEPTS says. It has no brace, which would decide the slot. */
bool redis_key_prefix_valid(const char *prefix);

#endif

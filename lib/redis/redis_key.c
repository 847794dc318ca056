/* Every key of a shard has the shard's number in braces, and nothing else in braces. So all of them
 * are in one slot of a cluster, and one script can use them. */
#include "redis/redis_key.h"

#include <stdio.h>
#include <string.h>

void redis_key(char key[REDIS_KEY_BYTES], const char *prefix, unsigned place, const char *name)
{
    if (place == REDIS_PLACE_STORE)
        snprintf(key, REDIS_KEY_BYTES, "%sstore", prefix);
    else
        snprintf(key, REDIS_KEY_BYTES, "%s{%u}:%s", prefix, place, name);
}

bool redis_key_prefix_valid(const char *prefix)
{
    static const char accepted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789:._-";
    size_t bytes = strlen(prefix);
    return bytes >= 1 && bytes <= REDIS_KEY_PREFIX_MAX_BYTES && strspn(prefix, accepted) == bytes;
}

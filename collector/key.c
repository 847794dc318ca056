/* All keys begin with the same prefix; a shard's have its number as their hash tag. */
#include "key.h"

#include "redis/redis_nodes.h"

#include <stdio.h>

#define PREFIX "tally:"

void key_of(char key[KEY_BYTES], unsigned place, const char *name)
{
    if (place == REDIS_PLACE_STORE)
        snprintf(key, KEY_BYTES, PREFIX "%s", name);
    else
        snprintf(key, KEY_BYTES, PREFIX "{%u}:%s", place, name);
}

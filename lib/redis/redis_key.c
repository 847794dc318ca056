/* Every key of a shard has the shard's number in braces, and nothing else in braces. So all of them
 * are in one slot of a cluster, and one script can use them. */
#include "redis/redis_key.h"

#include <string.h>

/* Appends the text as far as there is room, and returns the new end. */
static char *key_append(char *at, const char *end, const char *text)
{
    while (*text != '\0' && at + 1 < end)
        *at++ = *text++;
    *at = '\0';
    return at;
}

/* Every answer and every subscription makes keys: it costs a few copies, not a format. */
void redis_key(char key[REDIS_KEY_BYTES], const char *prefix, unsigned place, const char *name)
{
    const char *end = key + REDIS_KEY_BYTES;
    char tag[] = "{..}:", *digit = tag + 1;
    char *at = key_append(key, end, prefix);
    if (place == REDIS_PLACE_STORE) {
        key_append(at, end, "store");
        return;
    }
    if (place >= 10)
        *digit++ = (char)('0' + place / 10 % 10);
    *digit++ = (char)('0' + place % 10);
    memcpy(digit, "}:", sizeof "}:");
    key_append(key_append(at, end, tag), end, name);
}

bool redis_key_prefix_valid(const char *prefix)
{
    static const char accepted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789:._-";
    size_t bytes = strlen(prefix);
    return bytes >= 1 && bytes <= REDIS_KEY_PREFIX_MAX_BYTES && strspn(prefix, accepted) == bytes;
}

/* Checks an id byte by byte, and hashes it with CRC32C to find its shard. */
#include "core/article.h"

#include "core/crc32c.h"

#include <sodium.h>
#include <string.h>

_Static_assert(ARTICLE_SEED_BYTES == crypto_shorthash_KEYBYTES, "SipHash's key");

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Bytes that may start a level. % is among them because many scripts produce slugs that are
 * percent-encoded throughout. */
static bool is_first(char c)
{
    return is_alphanumeric(c) || c == '%';
}

static bool is_inner(char c)
{
    return is_first(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

bool article_valid(const char *id, size_t bytes)
{
    if (bytes == 0 || bytes > ARTICLE_MAX_BYTES)
        return false;
    const char *at = id, *end = id + bytes;
    for (int level = 0; level < ARTICLE_MAX_LEVELS; level++) {
        if (at == end || !is_first(*at))
            return false;
        while (++at < end && is_inner(*at))
            ;
        if (at == end)
            return true;
        if (*at++ != '/')
            return false;
    }
    return false;
}

bool article_is_probe(const char *id, size_t bytes)
{
    static const char prefix[] = ARTICLE_PROBE_PREFIX;
    return bytes >= sizeof prefix && memcmp(id, prefix, sizeof prefix - 1) == 0;
}

bool article_prefix_valid(const char *prefix)
{
    size_t bytes = strlen(prefix);
    return bytes == 0 || (bytes <= ARTICLE_PREFIX_MAX_BYTES && prefix[bytes - 1] == '/' &&
                          article_valid(prefix, bytes - 1));
}

uint32_t article_shard(const char *id, size_t bytes, uint32_t shards)
{
    return crc32c(0, id, bytes) % shards;
}

unsigned article_hash(const char *id, size_t bytes, const unsigned char seed[ARTICLE_SEED_BYTES])
{
    unsigned char out[crypto_shorthash_BYTES];
    unsigned hash;
    crypto_shorthash(out, (const unsigned char *)id, bytes, seed);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

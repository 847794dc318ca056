/* Hashes article and reader with libsodium, and reads the key from its file. */
#include "core/reader.h"

#include "core/article.h"
#include "core/bytes.h"
#include "core/error.h"
#include "core/secret_file.h"

#include <sodium.h>
#include <string.h>

#define KEY_DIGITS (2 * READER_KEY_BYTES)

_Static_assert(READER_KEY_BYTES == crypto_shorthash_KEYBYTES, "SipHash's key");
_Static_assert(crypto_shorthash_BYTES == 8, "SipHash's output");

uint64_t reader_hash(const struct reader_key *key, const char *article, size_t article_bytes,
                     char source, const char *name, size_t name_bytes)
{
    unsigned char text[ARTICLE_MAX_BYTES + 2 + READER_NAME_MAX_BYTES];
    unsigned char out[crypto_shorthash_BYTES];
    size_t bytes = 0;

    memcpy(text, article, article_bytes);
    bytes += article_bytes;
    text[bytes++] = 0;
    text[bytes++] = (unsigned char)source;
    memcpy(text + bytes, name, name_bytes);
    bytes += name_bytes;
    (void)crypto_shorthash(out, text, bytes, key->bytes);
    return bytes_get_u64(out);
}

void reader_fingerprint(const struct reader_key *key, unsigned char out[READER_FINGERPRINT_BYTES])
{
    static const char label[] = "tally reader key 1";
    unsigned char text[sizeof label - 1 + READER_KEY_BYTES];
    unsigned char hash[32];

    memcpy(text, label, sizeof label - 1);
    memcpy(text + sizeof label - 1, key->bytes, READER_KEY_BYTES);
    (void)crypto_generichash(hash, sizeof hash, text, sizeof text, NULL, 0);
    memcpy(out, hash, READER_FINGERPRINT_BYTES);
    sodium_memzero(text, sizeof text);
}

int reader_key_load(struct reader_key *key, const char *path, struct error *error)
{
    char text[KEY_DIGITS + 1];
    size_t decoded = 0;
    int result = -1;

    if (sodium_init() < 0)
        return error_set(error, "cannot initialise libsodium");
    ssize_t bytes = secret_file_read(path, text, sizeof text, error);
    if (bytes < 0)
        goto out;
    if (bytes == KEY_DIGITS + 1 && text[KEY_DIGITS] == '\n')
        bytes--;
    if (bytes != KEY_DIGITS ||
        sodium_hex2bin(key->bytes, sizeof key->bytes, text, KEY_DIGITS, NULL, &decoded, NULL) !=
            0 ||
        decoded != READER_KEY_BYTES) {
        sodium_memzero(key, sizeof *key);
        error_set(error, "%s: is not a reader key of %d hex digits", path, KEY_DIGITS);
        goto out;
    }
    result = 0;
out:
    sodium_memzero(text, sizeof text);
    return result;
}

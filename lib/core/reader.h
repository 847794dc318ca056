/* The keyed hash that identifies a reader on one article (FORMATS.md 4.3): libsodium's SipHash-2-4.
 * Any thread. */
#ifndef TALLY_CORE_READER_H
#define TALLY_CORE_READER_H

#include "core/error.h"

#include <stddef.h>
#include <stdint.h>

#define READER_KEY_BYTES 16
#define READER_FINGERPRINT_BYTES 8
#define READER_NAME_MAX_BYTES 128

struct reader_key {
    unsigned char bytes[READER_KEY_BYTES];
};

/* SipHash(article, 0, source, name); `source` is 't', 'u' or 'c'. article_bytes ≤
 * ARTICLE_MAX_BYTES, name_bytes ≤ READER_NAME_MAX_BYTES. No allocation, no system call. */
uint64_t reader_hash(const struct reader_key *key, const char *article, size_t article_bytes,
                     char source, const char *name, size_t name_bytes);

/* First 8 bytes of BLAKE2b-256("tally reader key 1" + key). */
void reader_fingerprint(const struct reader_key *key, unsigned char out[READER_FINGERPRINT_BYTES]);

/* Reads 32 hex digits (a trailing newline is allowed). Returns 0, or -1 with a sentence naming
 * `path` in `error`. The sentence never contains the key. */
int reader_key_load(struct reader_key *key, const char *path, struct error *error);

#endif

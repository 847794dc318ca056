/* The keys that verify readers' tokens (INTERFACES.md 3.1): a JWKS (RFC 7517), or one public key in
 * PEM. A key has one algorithm, set by its own kind, whatever a token says. Keys come only from the
 * operator's file; nothing is ever fetched. Secrets are wiped when they are freed, and appear in no
 * error. One thread. */
#ifndef TALLY_BROKER_PLUGIN_TOKEN_KEYS_H
#define TALLY_BROKER_PLUGIN_TOKEN_KEYS_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define TOKEN_KEYS_MAX 16
#define TOKEN_KEYS_FILE_MAX_BYTES 65536
#define TOKEN_KEYS_ID_MAX_BYTES 255
#define TOKEN_KEYS_SECRET_MIN_BYTES 32
#define TOKEN_KEYS_SECRET_MAX_BYTES 512
#define TOKEN_KEYS_RSA_MIN_BITS 2048
#define TOKEN_KEYS_RSA_MAX_BITS 8192
#define TOKEN_KEYS_SIGNATURE_MAX_BYTES (TOKEN_KEYS_RSA_MAX_BITS / 8)

enum token_algorithm {
    TOKEN_HS256, /* a secret of 32 to 512 bytes */
    TOKEN_RS256, /* RSA of 2048 to 8192 bits */
    TOKEN_ES256, /* P-256 */
    TOKEN_EDDSA, /* Ed25519 */
};

/* The algorithm of this name, as in "alg". False: none of these. */
bool token_keys_algorithm(const char *name, enum token_algorithm *algorithm);

struct token_keys;

/* Reads the file. A key for another purpose (use, key_ops, alg, or a kind other than the four) is
 * ignored. A weak, broken or private key is an error, as is a file without any key, one with more
 * than TOKEN_KEYS_MAX, and one with a secret that others may read. NULL with "PATH: …" in
 * `error`. */
struct token_keys *token_keys_load(const char *path, struct error *error);

/* The same for the contents of a file. */
struct token_keys *token_keys_parse(const char *text, size_t bytes, struct error *error);

void token_keys_free(struct token_keys *keys); /* NULL is fine */

unsigned token_keys_count(const struct token_keys *keys);
unsigned token_keys_ignored(const struct token_keys *keys);
bool token_keys_secret(const struct token_keys *keys); /* one of them is a secret */

enum token_keys_answer {
    TOKEN_KEYS_FITS,
    TOKEN_KEYS_NONE,  /* no key has this algorithm and id */
    TOKEN_KEYS_WRONG, /* none of those made the signature */
};

/* Whether one of the keys of this algorithm made the signature of the message. `id` (may be NULL)
 * excludes keys with a different id; a key without an id always matches. Makes at most as many
 * checks as there are keys. */
enum token_keys_answer token_keys_verify(struct token_keys *keys, enum token_algorithm algorithm,
                                         const char *id, const void *message, size_t message_bytes,
                                         const unsigned char *signature, size_t signature_bytes);

/* How many checks were made, each of one signature by one key. */
uint64_t token_keys_checks(const struct token_keys *keys);

/* A file's identity, known without reading it. */
struct token_keys_seen {
    bool there;
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec changed;
};

/* Checks the file; true if it differs from `seen`, which is then updated. Call it before reading
 * the file, so that a write in between is noticed the next time. */
bool token_keys_changed(const char *path, struct token_keys_seen *seen);

#endif

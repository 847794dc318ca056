/* One key that verifies signatures of readers' tokens, built from a JWK or from PEM by GnuTLS or
 * libsodium. A key has one algorithm. Nothing is fetched, and errors contain no secret. One
 * thread. */
#ifndef TALLY_BROKER_PLUGIN_TOKEN_KEY_H
#define TALLY_BROKER_PLUGIN_TOKEN_KEY_H

#include "token_keys.h"

#include <cjson/cJSON.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

struct token_key {
    enum token_algorithm algorithm;
    gnutls_pubkey_t public;                         /* of RS256 and ES256, else NULL */
    unsigned char raw[TOKEN_KEYS_SECRET_MAX_BYTES]; /* HS256: the secret; EdDSA: the public key */
    size_t raw_bytes;
};

/* Fills a key that is zero except for its algorithm, which is the JWK's. NULL, or what is wrong:
 * the words that follow "key 1 of 2". The caller frees the key in either case. */
const char *token_key_take_jwk(struct token_key *key, const cJSON *jwk);

/* Fills a key that is all zero, including its algorithm, from text that begins with "-----BEGIN ".
 * Returns as token_key_take_jwk. */
const char *token_key_take_pem(struct token_key *key, const char *text, size_t bytes);

/* Frees and wipes what the key holds. */
void token_key_free(struct token_key *key);

/* Whether the key made the signature of the message. */
bool token_key_fits(const struct token_key *key, const void *message, size_t message_bytes,
                    const unsigned char *signature, size_t signature_bytes);

#endif

/* Builds a key from a JWK or from PEM, and verifies signatures with it. */
#include "token_key.h"

#include "token_base64.h"
#include "token_json.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <sodium.h>
#include <string.h>

#define P256_COORDINATE_BYTES 32
#define ES256_SIGNATURE_BYTES (2 * P256_COORDINATE_BYTES)
/* For a number of a public key: larger than accepted, so that an error can name the size. */
#define NUMBER_MAX_BYTES 2048

static const char broken[] = "is broken: a member is missing or malformed";
static const char private[] = "is private: only the public part of a key pair belongs here";

/* --- requirements for a public key --- */

/* Whether the exponent is odd and over 1: with 1, any signature is valid. */
static bool exponent_fits(gnutls_pubkey_t key)
{
    gnutls_datum_t modulus = {NULL, 0}, exponent = {NULL, 0};
    bool fits = false;

    if (gnutls_pubkey_export_rsa_raw2(key, &modulus, &exponent, GNUTLS_EXPORT_FLAG_NO_LZ) != 0)
        return false;
    if (exponent.size > 0 && exponent.size <= 4)
        fits = (exponent.data[exponent.size - 1] & 1) != 0 &&
               (exponent.size > 1 || exponent.data[0] > 1);
    gnutls_free(modulus.data);
    gnutls_free(exponent.data);
    return fits;
}

/* NULL, or what is wrong with the key; likewise the next two. */
static const char *judge_rsa(gnutls_pubkey_t key)
{
    unsigned bits = 0;

    if (gnutls_pubkey_get_pk_algorithm(key, &bits) != GNUTLS_PK_RSA ||
        bits < TOKEN_KEYS_RSA_MIN_BITS || bits > TOKEN_KEYS_RSA_MAX_BITS)
        return "is RSA of less than 2048 or more than 8192 bits";
    return exponent_fits(key) ? NULL : "has an RSA exponent that is not odd, 3 to 2^32";
}

static const char *judge_point(gnutls_pubkey_t key)
{
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;

    return gnutls_pubkey_export_ecc_raw(key, &curve, NULL, NULL) == 0 &&
                   curve == GNUTLS_ECC_CURVE_SECP256R1 && gnutls_pubkey_verify_params(key) == 0
               ? NULL
               : "is not a point of the curve P-256";
}

static const char *judge_ed25519(const unsigned char key[crypto_sign_PUBLICKEYBYTES])
{
    return crypto_core_ed25519_is_valid_point(key) == 1 ? NULL
                                                        : "is not a point of the curve Ed25519";
}

/* --- from a JWK --- */

/* Decodes a member. False: it is missing, not base64url, or has more than `max` bytes. */
static bool take_bytes(const cJSON *jwk, const char *member, unsigned char *out, size_t max,
                       size_t *bytes)
{
    const char *text = token_json_string(jwk, member);
    return text != NULL && token_base64_decode(text, strlen(text), out, max, bytes);
}

static const char *take_secret(struct token_key *key, const cJSON *jwk)
{
    if (!take_bytes(jwk, "k", key->raw, sizeof key->raw, &key->raw_bytes))
        return "has no k of base64url, 32 to 512 bytes";
    if (key->raw_bytes < TOKEN_KEYS_SECRET_MIN_BYTES)
        return "is a secret of less than 32 bytes";
    return NULL;
}

/* The number in a member, big-endian. Size 0: the member is missing or broken. */
static gnutls_datum_t take_number(const cJSON *jwk, const char *member,
                                  unsigned char out[NUMBER_MAX_BYTES])
{
    size_t bytes = 0;

    if (!take_bytes(jwk, member, out, NUMBER_MAX_BYTES, &bytes))
        bytes = 0;
    return (gnutls_datum_t){out, (unsigned)bytes};
}

static const char *take_rsa(struct token_key *key, const cJSON *jwk)
{
    unsigned char number[2][NUMBER_MAX_BYTES];
    gnutls_datum_t n = take_number(jwk, "n", number[0]), e = take_number(jwk, "e", number[1]);

    if (n.size == 0 || e.size == 0 || gnutls_pubkey_init(&key->public) != 0 ||
        gnutls_pubkey_import_rsa_raw(key->public, &n, &e) != 0)
        return broken;
    return judge_rsa(key->public);
}

static const char *take_point(struct token_key *key, const cJSON *jwk)
{
    unsigned char number[2][NUMBER_MAX_BYTES];
    gnutls_datum_t x = take_number(jwk, "x", number[0]), y = take_number(jwk, "y", number[1]);

    if (x.size == 0 || y.size == 0 || gnutls_pubkey_init(&key->public) != 0 ||
        gnutls_pubkey_import_ecc_raw(key->public, GNUTLS_ECC_CURVE_SECP256R1, &x, &y) != 0)
        return broken;
    return judge_point(key->public);
}

static const char *take_ed25519(struct token_key *key, const cJSON *jwk)
{
    if (!take_bytes(jwk, "x", key->raw, crypto_sign_PUBLICKEYBYTES, &key->raw_bytes) ||
        key->raw_bytes != crypto_sign_PUBLICKEYBYTES)
        return broken;
    return judge_ed25519(key->raw);
}

/* Whether the JWK has a member that only a private key has. */
static bool is_private(const cJSON *jwk)
{
    static const char *const members[] = {"d", "p", "q", "dp", "dq", "qi", "oth"};

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (token_json_member(jwk, members[i]) != NULL)
            return true;
    return false;
}

/* Only the numbers that make up the key are read: no certificate (x5c), and no address of one
 * (x5u). */
const char *token_key_take_jwk(struct token_key *key, const cJSON *jwk)
{
    if (key->algorithm != TOKEN_HS256 && is_private(jwk))
        return private;
    switch (key->algorithm) {
    case TOKEN_HS256:
        return take_secret(key, jwk);
    case TOKEN_RS256:
        return take_rsa(key, jwk);
    case TOKEN_ES256:
        return take_point(key, jwk);
    case TOKEN_EDDSA:
        return take_ed25519(key, jwk);
    }
    return broken;
}

/* --- from PEM --- */

static const char *token_key_find(const char *text, size_t bytes, const char *what)
{
    return memmem(text, bytes, what, strlen(what));
}

/* Moves the key to libsodium, which needs a third of GnuTLS's time, and less for a signature. NULL,
 * or what is wrong. */
static const char *move_ed25519(struct token_key *key)
{
    gnutls_datum_t x = {NULL, 0};

    if (gnutls_pubkey_export_ecc_raw(key->public, NULL, &x, NULL) != 0)
        return broken;
    if (x.size == crypto_sign_PUBLICKEYBYTES) {
        memcpy(key->raw, x.data, x.size);
        key->raw_bytes = x.size;
    }
    gnutls_free(x.data);
    gnutls_pubkey_deinit(key->public);
    key->public = NULL;
    return key->raw_bytes > 0 ? judge_ed25519(key->raw) : broken;
}

const char *token_key_take_pem(struct token_key *key, const char *text, size_t bytes)
{
    static const char begin[] = "-----BEGIN ";
    const char *first = token_key_find(text, bytes, begin);
    const char *behind = first + sizeof begin - 1;
    const gnutls_datum_t pem = {(unsigned char *)text,
                                (unsigned)bytes}; /* GnuTLS changes nothing */

    if (token_key_find(text, bytes, "PRIVATE KEY-----") != NULL)
        return "holds a private key: only the public part of a key pair belongs here";
    if (token_key_find(behind, (size_t)(text + bytes - behind), begin) != NULL)
        return "holds more than one key: several go into a JWKS";
    if (gnutls_pubkey_init(&key->public) != 0 ||
        gnutls_pubkey_import(key->public, &pem, GNUTLS_X509_FMT_PEM) != 0)
        return "holds no public key in PEM that is RSA, P-256 or Ed25519";
    switch (gnutls_pubkey_get_pk_algorithm(key->public, NULL)) {
    case GNUTLS_PK_RSA:
        key->algorithm = TOKEN_RS256;
        return judge_rsa(key->public);
    case GNUTLS_PK_ECDSA:
        key->algorithm = TOKEN_ES256;
        return judge_point(key->public);
    case GNUTLS_PK_EDDSA_ED25519:
        key->algorithm = TOKEN_EDDSA;
        return move_ed25519(key);
    default:
        return "is not RSA, P-256 or Ed25519";
    }
}

void token_key_free(struct token_key *key)
{
    if (key->public != NULL)
        gnutls_pubkey_deinit(key->public);
    explicit_bzero(key, sizeof *key);
}

/* --- signatures --- */

/* By libsodium, which compares in constant time. */
static bool secret_fits(const struct token_key *key, const void *message, size_t message_bytes,
                        const unsigned char *signature, size_t signature_bytes)
{
    crypto_auth_hmacsha256_state state;
    unsigned char own[crypto_auth_hmacsha256_BYTES];

    if (signature_bytes != sizeof own)
        return false;
    crypto_auth_hmacsha256_init(&state, key->raw, key->raw_bytes);
    crypto_auth_hmacsha256_update(&state, message, message_bytes);
    crypto_auth_hmacsha256_final(&state, own);
    bool fits = sodium_memcmp(own, signature, sizeof own) == 0;
    sodium_memzero(&state, sizeof state);
    sodium_memzero(own, sizeof own);
    return fits;
}

static bool public_fits(const struct token_key *key, gnutls_sign_algorithm_t algorithm,
                        const gnutls_datum_t *message, const gnutls_datum_t *signature)
{
    return gnutls_pubkey_verify_data2(key->public, algorithm, 0, message, signature) >= 0;
}

/* A token has both numbers side by side (RFC 7518, 3.4); GnuTLS takes them in DER. */
static bool point_signature_fits(const struct token_key *key, const gnutls_datum_t *message,
                                 const gnutls_datum_t *signature)
{
    gnutls_datum_t der = {NULL, 0};

    if (signature->size != ES256_SIGNATURE_BYTES)
        return false;
    gnutls_datum_t r = {signature->data, P256_COORDINATE_BYTES};
    gnutls_datum_t s = {signature->data + P256_COORDINATE_BYTES, P256_COORDINATE_BYTES};
    if (gnutls_encode_rs_value(&der, &r, &s) != 0)
        return false;
    bool fits = public_fits(key, GNUTLS_SIGN_ECDSA_SHA256, message, &der);
    gnutls_free(der.data);
    return fits;
}

bool token_key_fits(const struct token_key *key, const void *message, size_t message_bytes,
                    const unsigned char *signature, size_t signature_bytes)
{
    /* GnuTLS takes no pointers to const; it changes neither. */
    gnutls_datum_t signed_part = {(unsigned char *)message, (unsigned)message_bytes};
    gnutls_datum_t its_signature = {(unsigned char *)signature, (unsigned)signature_bytes};

    switch (key->algorithm) {
    case TOKEN_HS256:
        return secret_fits(key, message, message_bytes, signature, signature_bytes);
    case TOKEN_RS256:
        return public_fits(key, GNUTLS_SIGN_RSA_SHA256, &signed_part, &its_signature);
    case TOKEN_ES256:
        return point_signature_fits(key, &signed_part, &its_signature);
    case TOKEN_EDDSA:
        return signature_bytes == crypto_sign_BYTES &&
               crypto_sign_verify_detached(signature, message, message_bytes, key->raw) == 0;
    }
    return false;
}

#include "token_keys.h"

#include "token_json.h"

#include "core/error.h"
#include "core/secret_file.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <rhonabwy.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define P256_COORDINATE_BYTES 32
#define ES256_SIGNATURE_BYTES (2 * P256_COORDINATE_BYTES)
#define WHY_MAX_BYTES 256

struct key {
    enum token_algorithm algorithm;
    bool has_id;
    char id[TOKEN_KEYS_ID_MAX_BYTES + 1];
    gnutls_pubkey_t public;                         /* of RS256 and ES256, else NULL */
    unsigned char raw[TOKEN_KEYS_SECRET_MAX_BYTES]; /* HS256: the secret; EdDSA: the public key */
    size_t raw_bytes;
};

struct token_keys {
    unsigned n, ignored;
    uint64_t checks;
    struct key key[TOKEN_KEYS_MAX];
};

static const struct {
    const char *name, *type, *curve; /* of a JWK: alg, kty, crv */
} algorithms[] = {
    [TOKEN_HS256] = {"HS256", "oct", NULL},
    [TOKEN_RS256] = {"RS256", "RSA", NULL},
    [TOKEN_ES256] = {"ES256", "EC", "P-256"},
    [TOKEN_EDDSA] = {"EdDSA", "OKP", "Ed25519"},
};
#define ALGORITHMS_N (sizeof algorithms / sizeof algorithms[0])

bool token_keys_algorithm(const char *name, enum token_algorithm *algorithm)
{
    for (size_t i = 0; i < ALGORITHMS_N; i++)
        if (strcmp(name, algorithms[i].name) == 0) {
            *algorithm = (enum token_algorithm)i;
            return true;
        }
    return false;
}

/* --- what a public key must be --- */

static bool is(const char *text, const char *what)
{
    return text != NULL && strcmp(text, what) == 0;
}

/* Whether the exponent is odd and over 1: with 1 everything is signed. */
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

/* Whether it is a point of P-256. */
static bool point_fits(gnutls_pubkey_t key)
{
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;

    return gnutls_pubkey_export_ecc_raw(key, &curve, NULL, NULL) == 0 &&
           curve == GNUTLS_ECC_CURVE_SECP256R1 && gnutls_pubkey_verify_params(key) == 0;
}

/* Of Ed25519: for libsodium, which takes a third of the time of GnuTLS, and less for a signature.
 */
static bool take_ed25519(struct key *key)
{
    gnutls_datum_t x = {NULL, 0};

    if (gnutls_pubkey_export_ecc_raw(key->public, NULL, &x, NULL) != 0)
        return false;
    if (x.size == crypto_sign_PUBLICKEYBYTES) {
        memcpy(key->raw, x.data, x.size);
        key->raw_bytes = x.size;
    }
    gnutls_free(x.data);
    gnutls_pubkey_deinit(key->public);
    key->public = NULL;
    return key->raw_bytes > 0 && crypto_core_ed25519_is_valid_point(key->raw) == 1;
}

/* Sets the algorithm of a key that has a public part. NULL, or what is wrong with it. */
static const char *judge_public(struct key *key)
{
    unsigned bits = 0;

    switch (gnutls_pubkey_get_pk_algorithm(key->public, &bits)) {
    case GNUTLS_PK_RSA:
        key->algorithm = TOKEN_RS256;
        if (bits < TOKEN_KEYS_RSA_MIN_BITS || bits > TOKEN_KEYS_RSA_MAX_BITS)
            return "is RSA of less than 2048 or more than 8192 bits";
        return exponent_fits(key->public) ? NULL : "has an RSA exponent that is not odd, 3 to 2^32";
    case GNUTLS_PK_ECDSA:
        key->algorithm = TOKEN_ES256;
        return point_fits(key->public) ? NULL : "is no point of the curve P-256";
    case GNUTLS_PK_EDDSA_ED25519:
        key->algorithm = TOKEN_EDDSA;
        return take_ed25519(key) ? NULL : "is no point of the curve Ed25519";
    default:
        return "is not RSA, P-256 or Ed25519";
    }
}

/* --- a JWKS --- */

/* Whether a JWK says that signatures are checked by it, or nothing of it. */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *operations = json_object_get(jwk, "key_ops");

    if (use != NULL && !is(json_string_value(use), "sig"))
        return false;
    if (operations == NULL)
        return true;
    for (size_t i = 0; i < json_array_size(operations); i++)
        if (is(json_string_value(json_array_get(operations, i)), "verify"))
            return true;
    return false;
}

/* The algorithm for which a JWK is, by its kind; another "alg" makes it one for something else. */
static bool algorithm_of(const json_t *jwk, enum token_algorithm *algorithm)
{
    const json_t *name = json_object_get(jwk, "alg");

    for (size_t i = 0; i < ALGORITHMS_N; i++) {
        if (!is(token_json_string(jwk, "kty"), algorithms[i].type))
            continue;
        *algorithm = (enum token_algorithm)i;
        return (algorithms[i].curve == NULL ||
                is(token_json_string(jwk, "crv"), algorithms[i].curve)) &&
               (name == NULL || is(json_string_value(name), algorithms[i].name));
    }
    return false;
}

static const char *take_secret(struct key *key, const json_t *jwk)
{
    const char *text = token_json_string(jwk, "k");

    if (text == NULL ||
        sodium_base642bin(key->raw, sizeof key->raw, text, strlen(text), NULL, &key->raw_bytes,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return "has no k of base64url, 32 to 512 bytes";
    if (key->raw_bytes < TOKEN_KEYS_SECRET_MIN_BYTES)
        return "is a secret of less than 32 bytes";
    return NULL;
}

/* Only the members that make the key are handed on, and no certificate: what librhonabwy would
 * fetch by x5u, or prefer to them, it never sees. */
static const char *take_public(struct key *key, const json_t *jwk)
{
    static const char *const private[] = {"d", "p", "q", "dp", "dq", "qi", "oth"};
    static const char *const members[] = {"kty", "crv", "x", "y", "n", "e"};
    enum token_algorithm algorithm = key->algorithm;
    json_t *public = json_object();

    for (size_t i = 0; i < sizeof private / sizeof private[0]; i++)
        if (json_object_get(jwk, private[i]) != NULL) {
            json_decref(public);
            return "is private: only the public part of a key pair belongs here";
        }
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (json_object_get(jwk, members[i]) != NULL)
            json_object_set(public, members[i], json_object_get(jwk, members[i]));
    if (r_jwk_is_valid(public) == RHN_OK)
        key->public = r_jwk_export_to_gnutls_pubkey(public, R_FLAG_IGNORE_REMOTE);
    json_decref(public);
    if (key->public == NULL)
        return "is broken: a member is missing, or of another form";
    const char *wrong = judge_public(key);
    return wrong != NULL || algorithm == key->algorithm ? wrong : "is of another kind than it says";
}

static const char *take_id(struct key *key, const json_t *jwk)
{
    const json_t *id = json_object_get(jwk, "kid");

    key->has_id = id != NULL;
    if (id == NULL)
        return NULL;
    if (!json_is_string(id) || json_string_length(id) > TOKEN_KEYS_ID_MAX_BYTES)
        return "has a kid that is no string of up to 255 bytes";
    memcpy(key->id, json_string_value(id), json_string_length(id));
    return NULL;
}

/* NULL, or what is wrong. */
static const char *take_jwk(struct token_keys *keys, const json_t *jwk)
{
    enum token_algorithm algorithm;

    if (!json_is_object(jwk))
        return "is no object";
    if (!is_for_signatures(jwk) || !algorithm_of(jwk, &algorithm)) {
        keys->ignored++;
        return NULL;
    }
    if (keys->n == TOKEN_KEYS_MAX)
        return "is one more than the 16 that are possible";
    struct key *key = &keys->key[keys->n++];
    key->algorithm = algorithm;
    const char *wrong = take_id(key, jwk);
    if (wrong != NULL)
        return wrong;
    return algorithm == TOKEN_HS256 ? take_secret(key, jwk) : take_public(key, jwk);
}

static int take_jwks(struct token_keys *keys, const char *text, size_t bytes, char *error,
                     size_t error_bytes)
{
    json_t *set = token_json_object(text, bytes);
    const json_t *list = json_object_get(set, "keys");
    int result = 0;

    if (!json_is_array(list))
        result = error_say(error, error_bytes,
                           "is neither a JWKS ({\"keys\":[…]}) nor a public key in PEM");
    for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
        const char *wrong = take_jwk(keys, json_array_get(list, i));
        if (wrong != NULL)
            result = error_say(error, error_bytes, "key %zu of %zu %s", i + 1,
                               json_array_size(list), wrong);
    }
    if (result == 0 && keys->n == 0)
        result = error_say(error, error_bytes,
                           "has no key for HS256, RS256, ES256 (P-256) or EdDSA (Ed25519)");
    json_decref(set);
    return result;
}

/* --- a key in PEM --- */

static const char *find(const char *text, size_t bytes, const char *what)
{
    return memmem(text, bytes, what, strlen(what));
}

static const char *take_pem(struct token_keys *keys, const char *text, size_t bytes)
{
    static const char begin[] = "-----BEGIN ";
    struct key *key = &keys->key[keys->n++];
    const char *first = find(text, bytes, begin);
    const char *behind = first + sizeof begin - 1;
    jwk_t *jwk = NULL;

    if (find(text, bytes, "PRIVATE KEY-----") != NULL)
        return "holds a private key: only the public part of a key pair belongs here";
    if (find(behind, (size_t)(text + bytes - behind), begin) != NULL)
        return "holds more than one key: several go into a JWKS";
    if (r_jwk_init(&jwk) == RHN_OK &&
        r_jwk_import_from_pem_der(jwk, R_X509_TYPE_PUBKEY, R_FORMAT_PEM,
                                  (const unsigned char *)text, bytes) == RHN_OK)
        key->public = r_jwk_export_to_gnutls_pubkey(jwk, R_FLAG_IGNORE_REMOTE);
    r_jwk_free(jwk);
    if (key->public == NULL)
        return "holds no public key in PEM that is RSA, P-256 or Ed25519";
    return judge_public(key);
}

/* --- the file --- */

struct token_keys *token_keys_parse(const char *text, size_t bytes, char *error, size_t error_bytes)
{
    static const char begin[] = "-----BEGIN ";
    struct token_keys *keys = calloc(1, sizeof *keys);
    int result;

    if (keys == NULL) {
        error_say(error, error_bytes, "no memory");
        return NULL;
    }
    if (bytes >= sizeof begin - 1 && memcmp(text, begin, sizeof begin - 1) == 0) {
        const char *wrong = take_pem(keys, text, bytes);
        result = wrong == NULL ? 0 : error_say(error, error_bytes, "%s", wrong);
    } else {
        result = take_jwks(keys, text, bytes, error, error_bytes);
    }
    if (result == 0)
        return keys;
    token_keys_free(keys);
    return NULL;
}

struct token_keys *token_keys_load(const char *path, char *error, size_t error_bytes)
{
    char why[WHY_MAX_BYTES];
    bool shared = false;
    struct token_keys *keys = NULL;
    char *text = malloc(TOKEN_KEYS_FILE_MAX_BYTES);

    if (text == NULL) {
        error_say(error, error_bytes, "%s: no memory", path);
        return NULL;
    }
    ssize_t bytes =
        secret_file_read_any(path, text, TOKEN_KEYS_FILE_MAX_BYTES, &shared, error, error_bytes);
    if (bytes >= 0) {
        keys = token_keys_parse(text, (size_t)bytes, why, sizeof why);
        if (keys == NULL)
            error_say(error, error_bytes, "%s: %s", path, why);
    }
    if (keys != NULL && shared && token_keys_secret(keys)) {
        secret_file_refuse(path, error, error_bytes);
        token_keys_free(keys);
        keys = NULL;
    }
    explicit_bzero(text, TOKEN_KEYS_FILE_MAX_BYTES);
    free(text);
    return keys;
}

void token_keys_free(struct token_keys *keys)
{
    if (keys == NULL)
        return;
    for (unsigned i = 0; i < keys->n; i++)
        if (keys->key[i].public != NULL)
            gnutls_pubkey_deinit(keys->key[i].public);
    explicit_bzero(keys, sizeof *keys);
    free(keys);
}

unsigned token_keys_count(const struct token_keys *keys)
{
    return keys->n;
}

unsigned token_keys_ignored(const struct token_keys *keys)
{
    return keys->ignored;
}

bool token_keys_secret(const struct token_keys *keys)
{
    for (unsigned i = 0; i < keys->n; i++)
        if (keys->key[i].algorithm == TOKEN_HS256)
            return true;
    return false;
}

bool token_keys_changed(const char *path, struct token_keys_seen *seen)
{
    struct stat status;
    struct token_keys_seen now = {0};

    if (stat(path, &status) == 0)
        now = (struct token_keys_seen){.there = true,
                                       .device = status.st_dev,
                                       .inode = status.st_ino,
                                       .bytes = status.st_size,
                                       .changed = status.st_mtim};
    if (now.there == seen->there && now.device == seen->device && now.inode == seen->inode &&
        now.bytes == seen->bytes && now.changed.tv_sec == seen->changed.tv_sec &&
        now.changed.tv_nsec == seen->changed.tv_nsec)
        return false;
    *seen = now;
    return true;
}

/* --- signatures --- */

/* By libsodium, which compares in constant time: librhonabwy before 1.1.13 does not
 * (CVE-2024-25714). */
static bool secret_fits(const struct key *key, const void *message, size_t message_bytes,
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

static bool public_fits(const struct key *key, gnutls_sign_algorithm_t algorithm,
                        const gnutls_datum_t *message, const gnutls_datum_t *signature)
{
    return gnutls_pubkey_verify_data2(key->public, algorithm, 0, message, signature) >= 0;
}

/* A token has both numbers side by side (RFC 7518, 3.4), GnuTLS takes them in DER. */
static bool point_signature_fits(const struct key *key, const gnutls_datum_t *message,
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

static bool key_fits(const struct key *key, const void *message, size_t message_bytes,
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

uint64_t token_keys_checks(const struct token_keys *keys)
{
    return keys->checks;
}

enum token_keys_answer token_keys_verify(struct token_keys *keys, enum token_algorithm algorithm,
                                         const char *id, const void *message, size_t message_bytes,
                                         const unsigned char *signature, size_t signature_bytes)
{
    enum token_keys_answer answer = TOKEN_KEYS_NONE;

    for (unsigned i = 0; i < keys->n; i++) {
        const struct key *key = &keys->key[i];
        if (key->algorithm != algorithm || (id != NULL && key->has_id && strcmp(id, key->id) != 0))
            continue;
        keys->checks++;
        if (key_fits(key, message, message_bytes, signature, signature_bytes))
            return TOKEN_KEYS_FITS;
        answer = TOKEN_KEYS_WRONG;
    }
    return answer;
}

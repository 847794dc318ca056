/* Loads the keys that verify tokens: a JWKS or one public key in PEM, read whole and checked
 * before it replaces the keys in use. */
#include "token_keys.h"

#include "token_json.h"
#include "token_key.h"

#include "core/error.h"
#include "core/secret_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A key of the file, with its name there. */
struct key {
    struct token_key key;
    bool has_id;
    char id[TOKEN_KEYS_ID_MAX_BYTES + 1];
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

/* --- a JWKS --- */

static bool token_keys_is(const char *text, const char *what)
{
    return text != NULL && strcmp(text, what) == 0;
}

/* Whether a JWK says that it verifies signatures, or does not say what it is for. */
static bool is_for_signatures(const cJSON *jwk)
{
    const cJSON *use = token_json_member(jwk, "use");
    const cJSON *operations = token_json_member(jwk, "key_ops"), *one;

    if (use != NULL && !token_keys_is(cJSON_GetStringValue(use), "sig"))
        return false;
    if (operations == NULL)
        return true;
    if (!cJSON_IsArray(operations))
        return false;
    cJSON_ArrayForEach(one, operations)
    {
        if (token_keys_is(cJSON_GetStringValue(one), "verify"))
            return true;
    }
    return false;
}

/* The algorithm of a JWK, by its kind; a different "alg" means that the key has another purpose. */
static bool algorithm_of(const cJSON *jwk, enum token_algorithm *algorithm)
{
    const cJSON *name = token_json_member(jwk, "alg");

    for (size_t i = 0; i < ALGORITHMS_N; i++) {
        if (!token_keys_is(token_json_string(jwk, "kty"), algorithms[i].type))
            continue;
        *algorithm = (enum token_algorithm)i;
        return (algorithms[i].curve == NULL ||
                token_keys_is(token_json_string(jwk, "crv"), algorithms[i].curve)) &&
               (name == NULL || token_keys_is(cJSON_GetStringValue(name), algorithms[i].name));
    }
    return false;
}

static const char *take_id(struct key *key, const cJSON *jwk)
{
    const cJSON *id = token_json_member(jwk, "kid");

    key->has_id = id != NULL;
    if (id == NULL)
        return NULL;
    if (!cJSON_IsString(id) || strlen(id->valuestring) > TOKEN_KEYS_ID_MAX_BYTES)
        return "has a kid that is not a string of up to 255 bytes";
    memcpy(key->id, id->valuestring, strlen(id->valuestring));
    return NULL;
}

/* NULL, or what is wrong. */
static const char *take_jwk(struct token_keys *keys, const cJSON *jwk)
{
    enum token_algorithm algorithm;

    if (!cJSON_IsObject(jwk))
        return "is not an object";
    if (!is_for_signatures(jwk) || !algorithm_of(jwk, &algorithm)) {
        keys->ignored++;
        return NULL;
    }
    if (keys->n == TOKEN_KEYS_MAX)
        return "exceeds the limit of 16 keys";
    struct key *key = &keys->key[keys->n++];
    key->key.algorithm = algorithm;
    const char *wrong = take_id(key, jwk);
    return wrong != NULL ? wrong : token_key_take_jwk(&key->key, jwk);
}

static int take_jwks(struct token_keys *keys, const char *text, size_t bytes, struct error *error)
{
    cJSON *set = token_json_object(text, bytes);
    const cJSON *list = token_json_member(set, "keys"), *jwk;
    int at = 0, result = 0;

    if (!cJSON_IsArray(list))
        result = error_set(error, "is neither a JWKS ({\"keys\":[…]}) nor a public key in PEM");
    else
        cJSON_ArrayForEach(jwk, list)
        {
            const char *wrong = take_jwk(keys, jwk);
            at++;
            if (wrong == NULL)
                continue;
            result = error_set(error, "key %d of %d %s", at, cJSON_GetArraySize(list), wrong);
            break;
        }
    if (result == 0 && keys->n == 0)
        result = error_set(error, "has no key for HS256, RS256, ES256 (P-256) or EdDSA (Ed25519)");
    token_json_free(set);
    return result;
}

/* --- the file --- */

struct token_keys *token_keys_parse(const char *text, size_t bytes, struct error *error)
{
    static const char begin[] = "-----BEGIN ";
    struct token_keys *keys = calloc(1, sizeof *keys);
    int result;

    if (keys == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    if (bytes >= sizeof begin - 1 && memcmp(text, begin, sizeof begin - 1) == 0) {
        const char *wrong = token_key_take_pem(&keys->key[keys->n++].key, text, bytes);
        result = wrong == NULL ? 0 : error_set(error, "%s", wrong);
    } else {
        result = take_jwks(keys, text, bytes, error);
    }
    if (result == 0)
        return keys;
    token_keys_free(keys);
    return NULL;
}

struct token_keys *token_keys_load(const char *path, struct error *error)
{
    struct error why;
    bool shared = false;
    struct token_keys *keys = NULL;
    char *text = malloc(TOKEN_KEYS_FILE_MAX_BYTES);

    if (text == NULL) {
        error_set(error, "%s: no memory", path);
        return NULL;
    }
    ssize_t bytes = secret_file_read_any(path, text, TOKEN_KEYS_FILE_MAX_BYTES, &shared, error);
    if (bytes >= 0) {
        keys = token_keys_parse(text, (size_t)bytes, &why);
        if (keys == NULL)
            error_set(error, "%s: %s", path, why.text);
    }
    if (keys != NULL && shared && token_keys_secret(keys)) {
        secret_file_refuse(path, error);
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
        token_key_free(&keys->key[i].key);
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
        if (keys->key[i].key.algorithm == TOKEN_HS256)
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
        if (key->key.algorithm != algorithm ||
            (id != NULL && key->has_id && strcmp(id, key->id) != 0))
            continue;
        keys->checks++;
        if (token_key_fits(&key->key, message, message_bytes, signature, signature_bytes))
            return TOKEN_KEYS_FITS;
        answer = TOKEN_KEYS_WRONG;
    }
    return answer;
}

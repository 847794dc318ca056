/* Checks a JSON Web Token step by step, cheapest first, and finds whose it is. */
#include "token.h"

#include "token_base64.h"
#include "token_json.h"

#include <string.h>

#define PARTS 3
#define PART_MAX_BYTES (TOKEN_MAX_BYTES / 4 * 3)
#define TIME_MAX_S 253402300799.0 /* the end of the year 9999 */

/* A part as it appears in the token. */
struct part {
    const char *text;
    size_t bytes;
};

/* The contents of a part. */
struct content {
    unsigned char bytes[PART_MAX_BYTES];
    size_t n;
};

static bool split(const char *text, size_t bytes, struct part parts[PARTS])
{
    const char *end = text + bytes;

    for (int i = 0; i < PARTS; i++) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        if ((dot == NULL) != (i == PARTS - 1))
            return false;
        parts[i].text = text;
        parts[i].bytes = (size_t)((dot == NULL ? end : dot) - text);
        text = dot == NULL ? end : dot + 1;
    }
    return true;
}

/* Of base64url without padding, in its one form. */
static bool token_decode(const struct part *part, struct content *content)
{
    return part->bytes > 0 && token_base64_decode(part->text, part->bytes, content->bytes,
                                                  sizeof content->bytes, &content->n);
}

/* --- the signature --- */

/* Everything else in the header is ignored (RFC 7515, 4), above all keys and addresses of keys. */
static const char *read_header(const cJSON *header, enum token_algorithm *algorithm,
                               const char **key_id)
{
    const char *name = token_json_string(header, "alg");

    if (header == NULL)
        return "the header is not a JSON object";
    if (name == NULL || !token_keys_algorithm(name, algorithm))
        return "alg is not HS256, RS256, ES256 or EdDSA";
    if (token_json_member(header, "crit") != NULL)
        return "crit requires an unsupported extension";
    *key_id = token_json_string(header, "kid");
    if (*key_id == NULL && token_json_member(header, "kid") != NULL)
        return "kid is not a string";
    return NULL;
}

static const char *check_signature(struct token_keys *keys, const char *text,
                                   const struct part parts[PARTS], const struct content *header,
                                   const struct content *signature)
{
    enum token_algorithm algorithm = TOKEN_HS256;
    const char *key_id = NULL;
    cJSON *said = token_json_object(header->bytes, header->n);
    const char *wrong = read_header(said, &algorithm, &key_id);

    if (wrong == NULL) {
        size_t bytes = (size_t)(parts[1].text + parts[1].bytes - text);
        switch (token_keys_verify(keys, algorithm, key_id, text, bytes, signature->bytes,
                                  signature->n)) {
        case TOKEN_KEYS_FITS:
            break;
        case TOKEN_KEYS_NONE:
            wrong = "there is no key of its alg and kid";
            break;
        case TOKEN_KEYS_WRONG:
            wrong = "the signature is by none of the keys";
            break;
        }
    }
    token_json_free(said);
    return wrong;
}

/* --- the claims --- */

/* Whether the claim is a time, in whole seconds; fractions are dropped. */
static bool read_time(const cJSON *claim, uint64_t *seconds)
{
    if (!cJSON_IsNumber(claim))
        return false;
    double value = claim->valuedouble;
    if (!(value >= 0 && value <= TIME_MAX_S))
        return false;
    *seconds = (uint64_t)value;
    return true;
}

static const char *check_times(const cJSON *claims, uint64_t now_s, uint64_t *expires_s)
{
    const cJSON *from = token_json_member(claims, "nbf");
    uint64_t from_s;

    if (!read_time(token_json_member(claims, "exp"), expires_s))
        return "exp is missing, or not a number of seconds";
    if (*expires_s <= now_s)
        return "it has expired";
    if (from == NULL)
        return NULL;
    if (!read_time(from, &from_s))
        return "nbf is not a number of seconds";
    return from_s > now_s + TOKEN_LEEWAY_S ? "its time has not come (nbf)" : NULL;
}

/* Whether the claim is the string, or a list with it. */
static bool names(const cJSON *claim, const char *what)
{
    const cJSON *one;

    if (cJSON_IsString(claim))
        return strcmp(claim->valuestring, what) == 0;
    if (!cJSON_IsArray(claim))
        return false;
    cJSON_ArrayForEach(one, claim)
    {
        if (cJSON_IsString(one) && strcmp(one->valuestring, what) == 0)
            return true;
    }
    return false;
}

static const char *check_claims(const cJSON *claims, const struct token_rules *rules,
                                uint64_t now_s, struct token *token)
{
    const cJSON *issuer = token_json_member(claims, "iss");
    const char *subject = token_json_string(claims, "sub");

    if (claims == NULL)
        return "the claims are not a JSON object";
    const char *wrong = check_times(claims, now_s, &token->expires_s);
    if (wrong != NULL)
        return wrong;
    if (rules->issuer[0] != '\0' && !(cJSON_IsString(issuer) && names(issuer, rules->issuer)))
        return "iss is not the one of token_issuer";
    if (rules->audience[0] != '\0' && !names(token_json_member(claims, "aud"), rules->audience))
        return "aud does not name the one of token_audience";
    token->reader_bytes = subject == NULL ? 0 : strlen(subject);
    if (token->reader_bytes == 0 || token->reader_bytes > sizeof token->reader)
        return "sub is not a string of 1 to 128 bytes";
    memcpy(token->reader, subject, token->reader_bytes);
    return NULL;
}

const char *token_check(struct token_keys *keys, const struct token_rules *rules, const char *text,
                        size_t bytes, uint64_t now_s, struct token *token)
{
    struct part parts[PARTS];
    struct content content[PARTS];
    const char *wrong;

    memset(token, 0, sizeof *token);
    if (bytes > TOKEN_MAX_BYTES)
        return "it is longer than 4096 bytes";
    if (!split(text, bytes, parts))
        return "it does not have three parts";
    for (int i = 0; i < PARTS; i++)
        if (!token_decode(&parts[i], &content[i])) {
            wrong = "a part is not base64url";
            goto out;
        }
    wrong = check_signature(keys, text, parts, &content[0], &content[2]);
    if (wrong == NULL) {
        cJSON *claims = token_json_object(content[1].bytes, content[1].n);
        wrong = check_claims(claims, rules, now_s, token);
        token_json_free(claims);
    }
out:
    explicit_bzero(content, sizeof content);
    if (wrong != NULL)
        explicit_bzero(token, sizeof *token);
    return wrong;
}

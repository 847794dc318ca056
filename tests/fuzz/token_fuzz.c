/* A token of any text, one that is signed right with any header and claims, and a key file: what is
 * accepted is signed by a key that there is, by its own algorithm, and within its bounds; what is
 * refused leaves nothing. The first byte chooses. */
#include "fuzz.h"
#include "token.h"
#include "token_json.h"

#include <sodium.h>

#define NOW_S 1795510800u
#define PART_MAX_BYTES 3000

/* 32 times 'k' as the secret of HS256, and the public keys of RFC 7515, A.3, and RFC 8037, A.4. */
static const char jwks[] =
    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"es\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
static struct token_keys *keys;

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct error error;
    (void)argc;
    (void)argv;
    keys = sodium_init() < 0 ? NULL : token_keys_parse(jwks, sizeof jwks - 1, &error);
    FUZZ_CHECK(keys != NULL);
    return 0;
}

static void sign(const char *text, size_t bytes, unsigned char out[crypto_auth_hmacsha256_BYTES])
{
    unsigned char secret[32];
    memset(secret, 'k', sizeof secret);
    crypto_auth_hmacsha256(out, (const unsigned char *)text, bytes, secret);
}

/* Whether the last part is the signature of the others by the secret; nobody can make the other
 * two keys' here. */
static bool is_signed(const char *text, size_t bytes)
{
    unsigned char right[crypto_auth_hmacsha256_BYTES];
    char base64[64];
    const char *dot = memrchr(text, '.', bytes);
    if (dot == NULL)
        return false;
    sign(text, (size_t)(dot - text), right);
    sodium_bin2base64(base64, sizeof base64, right, sizeof right,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    size_t behind = bytes - (size_t)(dot + 1 - text);
    return behind == strlen(base64) && memcmp(dot + 1, base64, behind) == 0;
}

static void check(const char *text, size_t bytes)
{
    static const struct token_rules any = {"", ""}, some = {"us", "it"};
    struct token token, again;
    const char *wrong = token_check(keys, &any, text, bytes, NOW_S, &token);
    if (wrong != NULL) {
        for (size_t i = 0; i < sizeof token; i++)
            FUZZ_CHECK(((const unsigned char *)&token)[i] == 0);
        FUZZ_CHECK(token_check(keys, &some, text, bytes, NOW_S, &again) != NULL);
        return;
    }
    FUZZ_CHECK(bytes <= TOKEN_MAX_BYTES && is_signed(text, bytes));
    FUZZ_CHECK(token.reader_bytes >= 1 && token.reader_bytes <= READER_NAME_MAX_BYTES);
    FUZZ_CHECK(memchr(token.reader, '\0', token.reader_bytes) == NULL);
    FUZZ_CHECK(token.expires_s > NOW_S && token.expires_s <= 253402300799u);
    FUZZ_CHECK(token_check(keys, &any, text, bytes, token.expires_s - 1, &again) == NULL &&
               memcmp(&again, &token, sizeof token) == 0);
    FUZZ_CHECK(token_check(keys, &any, text, bytes, token.expires_s, &again) != NULL);
    FUZZ_CHECK(token_check(keys, &any, text, bytes - 1, NOW_S, &again) != NULL);
}

/* The header up to a newline, then the claims. */
static void check_signed(struct fuzz_input *in)
{
    static char text[4 * PART_MAX_BYTES];
    unsigned char signature[crypto_auth_hmacsha256_BYTES];
    size_t used = 0;
    char *header = fuzz_line(in);
    size_t n = header == NULL ? 0 : strlen(header);
    if (n < PART_MAX_BYTES && in->left < PART_MAX_BYTES) {
        sodium_bin2base64(text, sizeof text, (const unsigned char *)(n == 0 ? "" : header), n,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        used = strlen(text);
        text[used++] = '.';
        sodium_bin2base64(text + used, sizeof text - used, in->at, in->left,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        used += strlen(text + used);
        sign(text, used, signature);
        text[used++] = '.';
        sodium_bin2base64(text + used, sizeof text - used, signature, sizeof signature,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        check(text, used + strlen(text + used));
    }
    free(header);
}

static void check_keys(const char *text, size_t bytes)
{
    static const unsigned char nothing[TOKEN_KEYS_SIGNATURE_MAX_BYTES];
    struct error error = {0};
    struct token_keys *found = token_keys_parse(text, bytes, &error);
    FUZZ_CHECK((found == NULL) == (error.text[0] != '\0'));
    if (found == NULL)
        return;
    FUZZ_CHECK(token_keys_count(found) >= 1 && token_keys_count(found) <= TOKEN_KEYS_MAX);
    for (int algorithm = TOKEN_HS256; algorithm <= TOKEN_EDDSA; algorithm++) {
        static const size_t sizes[] = {0, 32, 64, 256};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            FUZZ_CHECK(token_keys_verify(found, (enum token_algorithm)algorithm, NULL, "m", 1,
                                         nothing, sizes[i]) != TOKEN_KEYS_FITS);
    }
    token_keys_free(found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    switch (fuzz_number(&in, 1) % 4) {
    case 0:
        check_keys((const char *)in.at, in.left);
        break;
    case 1:
        check_signed(&in);
        break;
    default:
        check((const char *)in.at, in.left);
        break;
    }
    return 0;
}

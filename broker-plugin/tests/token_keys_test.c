#include "unit.h"

#include "temp.h"
#include "token_keys.h"
#include "token_made.h"

/* RFC 7515, A.1 to A.3; RFC 8037, A.4: key, what is signed, signature. */
static const struct {
    const char *key;
    enum token_algorithm algorithm;
    const char *message, *signature;
} vectors[] = {
    {"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
     "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
     TOKEN_HS256,
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQog"
     "Imh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
     "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-"
     "Vaw-"
     "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0L"
     "OL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwK"
     "h9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\","
     "\"e\":\"AQAB\"}",
     TOKEN_RS256,
     "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
     "LmNvbS9pc19yb290Ijp0cnVlfQ",
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
     "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
     "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
     "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
     TOKEN_ES256,
     "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
     "LmNvbS9pc19yb290Ijp0cnVlfQ",
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     TOKEN_EDDSA, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

#define OCT "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr8\""
/* 2^256 - 1 as x is not a coordinate; the RFC's x with another y is not a point. */
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define PEM_P384                                                                                   \
    "-----BEGIN PUBLIC KEY-----\n"                                                                 \
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEOF8jVqZ2dNjqO5mS5Zp1sNRRKSIuRFbY\n"                           \
    "-----END PUBLIC KEY-----\n"

static struct error error;

static struct token_keys *parse(const char *text)
{
    error.text[0] = '\0';
    return token_keys_parse(text, strlen(text), &error);
}

/* A JWKS of up to two keys, each "{…}"; NULL: none. */
static struct token_keys *parse_set(const char *one, const char *other)
{
    char text[8192];
    (void)snprintf(text, sizeof text, "{\"keys\":[%s%s%s]}", one == NULL ? "" : one,
                   other == NULL ? "" : ",", other == NULL ? "" : other);
    return parse(text);
}

static void fits_the_vectors_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        unsigned char signature[1024];
        size_t bytes;
        const char *message = vectors[i].message;
        struct token_keys *keys = parse_set(vectors[i].key, NULL);
        require(keys != NULL, "vector %zu: %s", i, error.text);
        assert_int_equal(sodium_base642bin(signature, sizeof signature, vectors[i].signature,
                                           strlen(vectors[i].signature), NULL, &bytes, NULL,
                                           sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                         0);
        require(token_keys_verify(keys, vectors[i].algorithm, NULL, message, strlen(message),
                                  signature, bytes) == TOKEN_KEYS_FITS,
                "vector %zu", i);
        require(token_keys_verify(keys, vectors[i].algorithm, NULL, message, strlen(message) - 1,
                                  signature, bytes) == TOKEN_KEYS_WRONG,
                "vector %zu", i);
        for (size_t n = 0; n < bytes; n++)
            require(token_keys_verify(keys, vectors[i].algorithm, NULL, message, strlen(message),
                                      signature, n) == TOKEN_KEYS_WRONG,
                    "vector %zu, %zu bytes", i, n);
        for (size_t other = 0; other < COUNT_OF(vectors); other++)
            if (other != i)
                require(token_keys_verify(keys, vectors[other].algorithm, NULL, message,
                                          strlen(message), signature, bytes) == TOKEN_KEYS_NONE,
                        "vector %zu", i);
        assert_int_equal(token_keys_secret(keys), vectors[i].algorithm == TOKEN_HS256);
        token_keys_free(keys);
    }
}

static void reads_one_public_key_in_pem(void **state)
{
    struct token_made made;
    const struct {
        char by;
        enum token_algorithm algorithm;
    } rows[] = {{'R', TOKEN_RS256}, {'E', TOKEN_ES256}};
    (void)state;
    token_made_init(&made);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char signature[1024];
        gnutls_datum_t pem;
        gnutls_pubkey_t public;
        assert_int_equal(gnutls_pubkey_init(&public), 0);
        assert_int_equal(
            gnutls_pubkey_import_privkey(public, rows[i].by == 'R' ? made.rsa : made.ec, 0, 0), 0);
        assert_int_equal(gnutls_pubkey_export2(public, GNUTLS_X509_FMT_PEM, &pem), 0);
        struct token_keys *keys = parse((const char *)pem.data);
        require(keys != NULL, "row %zu: %s", i, error.text);
        assert_int_equal(token_keys_count(keys), 1);
        size_t bytes = token_made_sign(&made, rows[i].by, "m", signature);
        /* It has no id, so it fits every one. */
        assert_int_equal(token_keys_verify(keys, rows[i].algorithm, "k", "m", 1, signature, bytes),
                         TOKEN_KEYS_FITS);
        token_keys_free(keys);
        char twice[4096];
        (void)snprintf(twice, sizeof twice, "%s%s", (const char *)pem.data, (const char *)pem.data);
        assert_null(parse(twice));
        assert_non_null(strstr(error.text, "more than one"));
        gnutls_free(pem.data);
        gnutls_pubkey_deinit(public);
    }
    token_made_fini(&made);
}

static void chooses_by_id(void **state)
{
    struct token_made made, other;
    char one[512], two[512];
    unsigned char signature[64];
    (void)state;
    token_made_init(&made);
    token_made_init(&other);
    token_made_ed(one, sizeof one, &made, ",\"kid\":\"one\"");
    token_made_ed(two, sizeof two, &other, ",\"kid\":\"two\"");
    struct token_keys *keys = parse_set(one, two);
    assert_int_equal(token_keys_count(keys), 2);
    size_t bytes = token_made_sign(&other, 'D', "m", signature);
    const struct {
        const char *id;
        enum token_keys_answer answer;
        uint64_t checks;
    } rows[] = {{"two", TOKEN_KEYS_FITS, 1},
                {"one", TOKEN_KEYS_WRONG, 1},
                {"three", TOKEN_KEYS_NONE, 0},
                {"", TOKEN_KEYS_NONE, 0},
                {NULL, TOKEN_KEYS_FITS, 2}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t before = token_keys_checks(keys);
        require(token_keys_verify(keys, TOKEN_EDDSA, rows[i].id, "m", 1, signature, bytes) ==
                        rows[i].answer &&
                    token_keys_checks(keys) - before == rows[i].checks,
                "row %zu", i);
    }
    token_keys_free(keys);
    token_made_fini(&made);
    token_made_fini(&other);
}

/* What a JWKS has besides is ignored, as long as there is a key left. */
static void ignores_keys_for_something_else(void **state)
{
    static const char *const others[] = {
        OCT ",\"use\":\"enc\"}",
        OCT ",\"use\":7}",
        OCT ",\"key_ops\":[\"encrypt\"]}",
        OCT ",\"key_ops\":[]}",
        OCT ",\"alg\":\"HS512\"}",
        OCT ",\"alg\":\"none\"}",
        OCT ",\"alg\":\"RS256\"}",
        OCT ",\"alg\":7}",
        "{\"kty\":\"RSA\",\"alg\":\"PS256\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED_X "\"}",
        "{\"kty\":\"unheard-of\"}",
        "{}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct token_keys *keys = parse_set(others[i], OCT "}");
        require(keys != NULL, "row %zu: %s", i, error.text);
        require(token_keys_count(keys) == 1 && token_keys_ignored(keys) == 1, "row %zu", i);
        token_keys_free(keys);
        require(parse_set(others[i], NULL) == NULL, "row %zu", i);
        require(strstr(error.text, "has no key") != NULL, "row %zu: %s", i, error.text);
    }
}

static void refuses_weak_and_broken_keys(void **state)
{
    static const char *const rows[][2] = {
        {"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLg\"}", "32 bytes"},
        {"{\"kty\":\"oct\",\"k\":\"\"}", "32 bytes"},
        {"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr8=\"}", "base64url"},
        {"{\"kty\":\"oct\",\"k\":\"\xc2\xbcyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr8\"}",
         "base64url"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
         "7TyWQHOg7hcvPapiMlrwIaaPcHUR\xc2\xbc\"}",
         "broken"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"x\xd2\xbc"
         "EzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
         "broken"},
        {"{\"kty\":\"oct\",\"k\":7}", "base64url"},
        {"{\"kty\":\"oct\"}", "base64url"},
        {"{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "broken"},
        {"{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}", "broken"},
        {"{\"kty\":\"RSA\",\"n\":7,\"e\":\"AQAB\"}", "broken"},
        {"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "2048"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}", "broken"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}", "point"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"__________________________________________8\","
         "\"y\":\"" EC_Y "\"}",
         "point"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", "broken"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qY\"}", "broken"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\",\"d\":\"" ED_X "\"}", "private"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\",\"d\":\"" EC_X
         "\"}",
         "private"},
        {OCT ",\"kid\":7}", "kid"},
        {"7", "not an object"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        require(parse_set(OCT "}", rows[i][0]) == NULL, "row %zu", i);
        require(strstr(error.text, "key 2 of 2 ") != NULL && strstr(error.text, rows[i][1]) != NULL,
                "row %zu: %s", i, error.text);
        require(strstr(error.text, "AyM1") == NULL && strstr(error.text, EC_X) == NULL, "row %zu",
                i);
    }
}

static void refuses_a_weak_rsa_key(void **state)
{
    char key[4096];
    (void)state;
    gnutls_privkey_t weak = token_made_private(GNUTLS_PK_RSA, 1024);
    token_made_rsa(key, sizeof key, weak, "");
    assert_null(parse_set(key, NULL));
    assert_non_null(strstr(error.text, "2048"));
    gnutls_privkey_deinit(weak);
    /* An exponent of 1 signs everything. */
    (void)snprintf(key, sizeof key, "%s", vectors[1].key);
    strcpy(strstr(key, "AQAB"), "AQ\"}");
    assert_null(parse_set(key, NULL));
    require(strstr(error.text, "exponent") != NULL || strstr(error.text, "broken") != NULL, "%s",
            error.text);
}

static void refuses_what_is_no_key_file(void **state)
{
    static const char *const rows[][2] = {
        {"", "neither"},
        {"{}", "neither"},
        {"{\"keys\":{}}", "neither"},
        {"[]", "neither"},
        {"{\"keys\":[]", "neither"},
        {"{\"keys\":[" OCT "}]}x", "neither"},
        {"{\"keys\":[" OCT "}],\"keys\":[]}", "neither"},
        {"{\"keys\":[]}", "no key"},
        {OCT "}", "neither"},
        {"-----BEGIN PUBLIC KEY-----\n", "no public key"},
        {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no public key"},
        {PEM_P384, "no public key"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        require(parse(rows[i][0]) == NULL, "row %zu", i);
        require(strstr(error.text, rows[i][1]) != NULL, "row %zu: %s", i, error.text);
    }
}

static void takes_as_many_keys_as_it_says(void **state)
{
    char text[8192] = "{\"keys\":[";
    (void)state;
    for (int i = 0; i < TOKEN_KEYS_MAX; i++)
        strcat(strcat(text, i > 0 ? "," : ""), OCT "}");
    size_t bytes = strlen(text);
    strcpy(text + bytes, "]}");
    struct token_keys *keys = parse(text);
    assert_int_equal(token_keys_count(keys), TOKEN_KEYS_MAX);
    token_keys_free(keys);
    strcpy(text + bytes, "," OCT "}]}");
    assert_null(parse(text));
    assert_non_null(strstr(error.text, "16"));
}

/* --- files --- */

#define SECRET_FILE "{\"keys\":[" OCT "}]}"
#define PUBLIC_FILE "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"}]}"

static struct token_keys *load(const char *name)
{
    error.text[0] = '\0';
    return token_keys_load(temp_path(name), &error);
}

static void guards_secrets_by_the_files_mode(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        bool loads;
    } rows[] = {
        {SECRET_FILE, 0600, true},  {SECRET_FILE, 0640, true}, {SECRET_FILE, 0644, false},
        {SECRET_FILE, 0602, false}, {PUBLIC_FILE, 0644, true}, {PUBLIC_FILE, 0600, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        temp_write("keys", rows[i].text, strlen(rows[i].text), rows[i].mode);
        struct token_keys *keys = load("keys");
        require((keys != NULL) == rows[i].loads, "row %zu: %s", i, error.text);
        require(rows[i].loads || (strstr(error.text, temp_path("keys")) != NULL &&
                                  strstr(error.text, "0640") != NULL),
                "row %zu: %s", i, error.text);
        token_keys_free(keys);
    }
}

static void names_the_file_that_is_wrong(void **state)
{
    char large[TOKEN_KEYS_FILE_MAX_BYTES + 1];
    (void)state;
    assert_null(load("absent"));
    assert_non_null(strstr(error.text, temp_path("absent")));
    assert_int_equal(mkfifo(temp_path("fifo"), 0600), 0);
    assert_null(load("fifo"));
    assert_non_null(strstr(error.text, "not a file"));
    memset(large, ' ', sizeof large);
    memcpy(large, SECRET_FILE, strlen(SECRET_FILE));
    temp_write("large", large, sizeof large, 0600);
    assert_null(load("large"));
    assert_non_null(strstr(error.text, "65536"));
    temp_write("large", large, sizeof large - 1, 0600);
    struct token_keys *keys = load("large");
    assert_non_null(keys);
    token_keys_free(keys);
}

static void sees_that_a_file_has_changed(void **state)
{
    struct token_keys_seen seen = {0};
    const char *path;
    (void)state;
    assert_false(token_keys_changed(temp_path("seen"), &seen)); /* absent, as nothing was seen */
    temp_write("seen", "a", 1, 0600);
    path = temp_path("seen");
    assert_true(token_keys_changed(path, &seen));
    assert_false(token_keys_changed(path, &seen));
    temp_write("seen", "ab", 2, 0600);
    path = temp_path("seen");
    assert_true(token_keys_changed(path, &seen));
    assert_false(token_keys_changed(path, &seen));
    /* As long, at the same time, another file. */
    const struct timespec then[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
    assert_true(token_keys_changed(path, &seen));
    temp_write("new", "cd", 2, 0600);
    assert_int_equal(utimensat(AT_FDCWD, temp_path("new"), then, 0), 0);
    assert_int_equal(rename(temp_path("new"), temp_path("seen")), 0);
    assert_true(token_keys_changed(temp_path("seen"), &seen));
    assert_int_equal(unlink(temp_path("seen")), 0);
    assert_true(token_keys_changed(temp_path("seen"), &seen));
    assert_false(token_keys_changed(temp_path("seen"), &seen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_the_vectors_of_the_rfcs),
        cmocka_unit_test(reads_one_public_key_in_pem),
        cmocka_unit_test(chooses_by_id),
        cmocka_unit_test(ignores_keys_for_something_else),
        cmocka_unit_test(refuses_weak_and_broken_keys),
        cmocka_unit_test(refuses_a_weak_rsa_key),
        cmocka_unit_test(refuses_what_is_no_key_file),
        cmocka_unit_test(takes_as_many_keys_as_it_says),
        cmocka_unit_test_setup_teardown(guards_secrets_by_the_files_mode, temp_setup,
                                        temp_teardown),
        cmocka_unit_test_setup_teardown(names_the_file_that_is_wrong, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(sees_that_a_file_has_changed, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

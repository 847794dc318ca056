#include "unit.h"

#include "core/article.h"
#include "core/bytes.h"
#include "core/reader.h"
#include "temp.h"
#include "vectors.h"

static const char article[] = "world/migrant-caravan";
static const char name[] = "3f9c1d2e7a6b5048";

static struct reader_key key_of_the_vectors(void)
{
    struct reader_key key;
    for (unsigned char i = 0; i < READER_KEY_BYTES; i++)
        key.bytes[i] = i;
    return key;
}

/* The official vectors of SipHash-2-4 (the reference implementation's vectors_sip64): key 00 … 0f,
 * text 00 01 02 … of n bytes. Such a text is what an empty article, source 1 and the name 02 03 …
 * come to. */
static void agrees_with_siphash(void **state)
{
    static const struct {
        size_t bytes;
        const char *hash;
    } official[] = {
        {2, "5a4fa9d909806c0d"}, {3, "2d7efbd796666785"},  {4, "b7877127e09427cf"},
        {5, "8da699cd64557618"}, {6, "cee3fe586e46c9cb"},  {7, "37d1018bf50002ab"},
        {8, "6224939a79f5f593"}, {15, "e545be4961ca29a1"}, {63, "724506eb4c328a95"},
    };
    struct reader_key key = key_of_the_vectors();
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)i;
    for (size_t i = 0; i < COUNT_OF(official); i++) {
        unsigned char expected[8];
        unit_hex(official[i].hash, expected);
        uint64_t hash = reader_hash(&key, "", 0, 1, text + 2, official[i].bytes - 2);
        require(hash == bytes_get_u64(expected), "%zu bytes", official[i].bytes);
    }
}

static void agrees_with_the_vectors(void **state)
{
    static const struct {
        char source;
        const char *hash;
    } cases[] = {{'u', VECTOR_READER_U}, {'c', VECTOR_READER_C}, {'t', VECTOR_READER_T}};
    struct reader_key key = key_of_the_vectors();
    unsigned char expected[8], fingerprint[READER_FINGERPRINT_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        unit_hex(cases[i].hash, expected);
        assert_int_equal(
            reader_hash(&key, article, sizeof article - 1, cases[i].source, name, sizeof name - 1),
            bytes_get_u64(expected));
    }
    unit_hex(VECTOR_FINGERPRINT, expected);
    reader_fingerprint(&key, fingerprint);
    assert_memory_equal(fingerprint, expected, READER_FINGERPRINT_BYTES);
}

/* No two different (article, source, name) come to the same text. */
static void tells_all_of_it_apart(void **state)
{
    struct reader_key key = key_of_the_vectors(), other = key;
    uint64_t hash = reader_hash(&key, "ab", 2, 'u', "cd", 2);
    (void)state;
    other.bytes[15] ^= 1;
    assert_int_not_equal(hash, reader_hash(&other, "ab", 2, 'u', "cd", 2));
    assert_int_not_equal(hash, reader_hash(&key, "ab", 2, 'c', "cd", 2));
    assert_int_not_equal(hash, reader_hash(&key, "a", 1, 'u', "bcd", 3));
    assert_int_not_equal(hash, reader_hash(&key, "ab", 2, 'u', "ce", 2));
    assert_int_not_equal(hash, reader_hash(&key, "ac", 2, 'u', "cd", 2));
}

static void takes_the_longest(void **state)
{
    char long_article[ARTICLE_MAX_BYTES], long_name[READER_NAME_MAX_BYTES];
    struct reader_key key = key_of_the_vectors();
    (void)state;
    memset(long_article, 'a', sizeof long_article);
    memset(long_name, 'n', sizeof long_name);
    uint64_t hash =
        reader_hash(&key, long_article, sizeof long_article, 'u', long_name, sizeof long_name);
    assert_int_not_equal(hash, reader_hash(&key, long_article, sizeof long_article, 'u', long_name,
                                           sizeof long_name - 1));
}

#define DIGITS "000102030405060708090a0b0c0d0e0f"

static void loads_a_key(void **state)
{
    static const char *const contents[] = {DIGITS, DIGITS "\n",
                                           "000102030405060708090A0B0C0D0E0F\n"};
    struct reader_key expected = key_of_the_vectors();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        struct reader_key key = {{0}};
        struct error error = {0};
        temp_write("key", contents[i], strlen(contents[i]), i == 0 ? 0640 : 0600);
        assert_int_equal(reader_key_load(&key, temp_path("key"), &error), 0);
        assert_memory_equal(&key, &expected, sizeof key);
    }
}

static void refuses_keys(void **state)
{
    static const char *const contents[] = {
        "",
        "\n",
        "0",
        "000102030405060708090a0b0c0d0e0",
        DIGITS "0",
        DIGITS "\n\n",
        DIGITS " ",
        " " DIGITS,
        DIGITS "\r\n",
        DIGITS DIGITS,
        "0001:2030405060708090a0b0c0d0e0f",
        "0x0102030405060708090a0b0c0d0e0f",
        "g00102030405060708090a0b0c0d0e0f",
    };
    struct reader_key key;
    struct error error;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(contents); i++) {
        temp_write("key", contents[i], strlen(contents[i]), 0600);
        error.text[0] = '\0';
        require(reader_key_load(&key, temp_path("key"), &error) == -1, "%zu", i);
        require(strstr(error.text, temp_path("key")) != NULL, "%zu says '%s'", i, error.text);
        require(strstr(error.text, "0102") == NULL, "%zu tells the key: '%s'", i, error.text);
    }
    temp_write("key", DIGITS, 32, 0644);
    assert_int_equal(reader_key_load(&key, temp_path("key"), &error), -1);
    assert_non_null(strstr(error.text, "0600"));
    assert_int_equal(reader_key_load(&key, temp_path("absent"), &error), -1);
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(reader_key_load(&key, temp_folder, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_siphash),
        cmocka_unit_test(agrees_with_the_vectors),
        cmocka_unit_test(tells_all_of_it_apart),
        cmocka_unit_test(takes_the_longest),
        cmocka_unit_test_setup_teardown(loads_a_key, temp_setup, temp_teardown),
        cmocka_unit_test_setup_teardown(refuses_keys, temp_setup, temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

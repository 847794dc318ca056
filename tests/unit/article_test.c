#include "unit.h"

#include "core/article.h"
#include "core/crc32c.h"
#include "vectors.h"

#define TEN "abcdefghij"
#define FIFTY TEN TEN TEN TEN TEN

static const char *const accepted[] = {
    "a",
    "Z",
    "7",
    "world/migrant-caravan",
    "post/10482",
    "a/b/c/d/e/f/g/h",
    "a.b_c~d%20-e",
    "2024/11/05/Election",
    "a..",
    "a-/b-",
    "%41",
    "%",
    "%/%",
    "2020/%E8%AF%BB",
    "%D0%BD%D0%BE/%d8%a7-1",
    FIFTY FIFTY FIFTY FIFTY,
};

static const char *const refused[] = {
    "",     "/",     "/a",     "a/",   "a//b",        "a/b/c/d/e/f/g/h/i",
    ".a",   "-a",    "_a",     "~a",   "%E8/.%AF",    "a/.b",
    "a/-",  "a b",   "a\tb",   "a+b",  "+",           "#",
    "a/#",  "a/+/b", "$SYS/x", "a$",   "caf\xc3\xa9", "a\x7f",
    "a\\b", "a?b",   "a:b",    "a\"b", "a{b}",        FIFTY FIFTY FIFTY FIFTY "k",
};

static void accepts_and_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(accepted); i++)
        require(article_valid(accepted[i], strlen(accepted[i])), "'%s'", accepted[i]);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        require(!article_valid(refused[i], strlen(refused[i])), "'%s'", refused[i]);
}

static void looks_no_further_than_told(void **state)
{
    (void)state;
    assert_true(article_valid("ab/#", 2));
    assert_false(article_valid("ab/#", 3));
    assert_false(article_valid("a\0b", 3));
    assert_false(article_valid("a\0", 2));
}

/* Every byte, as the first of a level and within one, against the set in INTERFACES.md 1. */
static void knows_every_byte(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%";
    static const char inner[] = "._~-";
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        char first[] = {(char)byte, 'b'}, within[] = {'a', (char)byte, 'b'};
        bool letter = memchr(letters, byte, sizeof letters - 1) != NULL;
        bool good = letter || byte == '/' || memchr(inner, byte, sizeof inner - 1) != NULL;
        require(article_valid(first, 2) == letter, "byte %d first", byte);
        require(article_valid(within, 3) == good, "byte %d within", byte);
    }
}

static void shards_by_crc(void **state)
{
    static const char id[] = "world/migrant-caravan";
    unsigned char crc[4];
    (void)state;
    assert_int_equal(unit_hex(VECTOR_ARTICLE_CRC, crc), 4);
    uint32_t expected =
        (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
    assert_int_equal(crc32c(0, id, sizeof id - 1), expected);
    for (uint32_t shards = 1; shards <= 64; shards++)
        assert_int_equal(article_shard(id, sizeof id - 1, shards), expected % shards);
}

/* 64,000 ids over 64 shards: none may be a fifth off its thousand. */
static void shards_evenly(void **state)
{
    unsigned count[64] = {0};
    (void)state;
    for (unsigned i = 0; i < 64000; i++) {
        char id[32];
        int n = snprintf(id, sizeof id, "post/%u", i);
        count[article_shard(id, (size_t)n, 64)]++;
    }
    for (int i = 0; i < 64; i++)
        require_between(count[i], 800, 1200);
}

static void hashes_by_seed(void **state)
{
    static const unsigned char seed[ARTICLE_SEED_BYTES] = "0123456789abcde",
                               other[ARTICLE_SEED_BYTES] = "0123456789abcdf";
    unsigned same[2] = {0};
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        char id[33];
        int n = snprintf(id, sizeof id, "post/%u", i);
        unsigned hash = article_hash(id, (size_t)n, seed);
        id[n] = 'x'; /* no more of it counts than told */
        assert_int_equal(article_hash(id, (size_t)n, seed), hash);
        same[0] += article_hash(id, (size_t)n, other) == hash;
        same[1] += article_hash(id, (size_t)n + 1, seed) == hash;
    }
    require_between(same[0], 0, 1);
    require_between(same[1], 0, 1);
}

static void knows_prefixes(void **state)
{
    static const char *const good[] = {"", "news/", "a/b/c/", "n.e_w-s~%/", "%E8/"};
    static const char *const bad[] = {"news", "/",    "/news/", "news//", "a//b/", "+/",
                                      "#",    "a/#/", "$SYS/",  "-a/",    "a b/",  "\xc3\xa4/"};
    char longest[ARTICLE_PREFIX_MAX_BYTES + 2];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        require(article_prefix_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        require(!article_prefix_valid(bad[i]), "%s", bad[i]);
    memset(longest, 'a', sizeof longest);
    longest[ARTICLE_PREFIX_MAX_BYTES - 1] = '/';
    longest[ARTICLE_PREFIX_MAX_BYTES] = '\0';
    assert_true(article_prefix_valid(longest));
    longest[ARTICLE_PREFIX_MAX_BYTES - 1] = 'a';
    longest[ARTICLE_PREFIX_MAX_BYTES] = '/';
    longest[ARTICLE_PREFIX_MAX_BYTES + 1] = '\0';
    assert_false(article_prefix_valid(longest));
}

static void knows_what_is_reserved_for_probes(void **state)
{
    static const char *const reserved[] = {"%probe/0123456789abcdef", "%probe/a/b"};
    static const char *const others[] = {"%probe", "%probes/a", "a/%probe/b", "probe/a",
                                         "%PROBE/a"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(reserved); i++) {
        assert_true(article_valid(reserved[i], strlen(reserved[i])));
        require(article_is_probe(reserved[i], strlen(reserved[i])), "%s", reserved[i]);
    }
    for (size_t i = 0; i < COUNT_OF(others); i++)
        require(!article_is_probe(others[i], strlen(others[i])), "%s", others[i]);
    assert_false(article_is_probe("%probe/a", 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_prefixes),
        cmocka_unit_test(accepts_and_refuses),
        cmocka_unit_test(looks_no_further_than_told),
        cmocka_unit_test(knows_every_byte),
        cmocka_unit_test(shards_by_crc),
        cmocka_unit_test(shards_evenly),
        cmocka_unit_test(hashes_by_seed),
        cmocka_unit_test(knows_what_is_reserved_for_probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

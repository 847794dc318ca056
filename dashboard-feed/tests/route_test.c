#include "route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void append(char *text, size_t size, const char *more)
{
    size_t bytes = strlen(text);
    assert_true((size_t)snprintf(text + bytes, size - bytes, "%s", more) < size - bytes);
}

static struct route route;

static void expect(const char *path, const char *query, enum route_kind kind)
{
    route_parse(&route, path, query);
    if (route.kind != kind)
        print_error("path %s query %s\n", path, query);
    assert_int_equal(route.kind, kind);
    assert_true((kind == ROUTE_BAD) == (route.error != NULL));
}

static void known_paths(void **state)
{
    (void)state;
    expect("/", NULL, ROUTE_FILE);
    assert_string_equal(route.file, "index.html");
    expect("/dashboard", "x=1", ROUTE_FILE);
    assert_string_equal(route.file, "dashboard.html");
    expect("/ops", NULL, ROUTE_FILE);
    assert_string_equal(route.file, "ops.html");
    expect("/%6fps", "x=1", ROUTE_FILE);
    assert_string_equal(route.file, "ops.html");
    expect("/ops/", NULL, ROUTE_FILE); /* a name that no file has */
    assert_string_equal(route.file, "ops/");
    expect("/tally.js", NULL, ROUTE_FILE);
    assert_string_equal(route.file, "tally.js");
    expect("/%74ally.js", NULL, ROUTE_FILE);
    assert_string_equal(route.file, "tally.js");
    expect("/metrics", NULL, ROUTE_METRICS);
    expect("/healthz", NULL, ROUTE_HEALTH);
    expect("/readyz", NULL, ROUTE_READY);
    expect("/livez", NULL, ROUTE_LIVE);
}

static void pages_for_frames(void **state)
{
    (void)state;
    expect("/embed", "article=world/migrant-caravan", ROUTE_EMBED);
    expect("/embed", "lang=fr&article=world%2Fa%25b&compact=", ROUTE_EMBED);
    expect("/embed", NULL, ROUTE_BAD);
    expect("/embed", "lang=fr", ROUTE_BAD);
    expect("/embed", "article=", ROUTE_BAD);
    expect("/embed", "article=a&article=b", ROUTE_BAD);
    expect("/embed", "article=a%20b", ROUTE_BAD);
    expect("/embed", "article=a%", ROUTE_BAD);
    expect("/embed/", "article=a", ROUTE_FILE);
}

static void unknown_paths(void **state)
{
    char path[400];
    (void)state;
    expect(NULL, NULL, ROUTE_NOTHING);
    expect("", NULL, ROUTE_NOTHING);
    expect("metrics", NULL, ROUTE_NOTHING);
    expect("/../../etc/passwd", NULL, ROUTE_FILE); /* a name that no file has */
    assert_string_equal(route.file, "../../etc/passwd");
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[100] = '\0';
    expect(path, NULL, ROUTE_NOTHING);
    path[100] = 'a';
    path[399] = '\0';
    expect(path, NULL, ROUTE_BAD);
    expect("/%zz", NULL, ROUTE_BAD);
    expect("/a%0", NULL, ROUTE_BAD);
    expect("/a%", NULL, ROUTE_BAD);
    expect("/a%00b", NULL, ROUTE_BAD);
}

static void one_article(void **state)
{
    static const struct {
        const char *path, *id;
    } good[] = {
        {"/totals/post", "post"},
        {"/totals/world/migrant-caravan", "world/migrant-caravan"},
        {"/totals/world%2Fmigrant-caravan", "world/migrant-caravan"},
        {"/totals/a%25b", "a%b"},     /* an id may contain a % */
        {"/totals/a%2525b", "a%25b"}, /* decoded once only */
        {"/totals/A.b_c~d-e", "A.b_c~d-e"},
        {"/totals/a%7Eb", "a~b"},
        {"/totals%2Fa", "a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        expect(good[i].path, NULL, ROUTE_TOTAL);
        assert_int_equal(route.n, 1);
        assert_string_equal(route.article[0].id, good[i].id);
        assert_int_equal(route.article[0].bytes, strlen(good[i].id));
    }
}

static void bad_articles(void **state)
{
    static const char *const bad[] = {
        "/totals/",     "/totals//a",
        "/totals/a/",   "/totals/a//b",
        "/totals/-a",   "/totals/a%2F",
        "/totals/a+b",  "/totals/a%20b",
        "/totals/a%00", "/totals/a%zz",
        "/totals/a%",   "/totals/%C3%A9",
        "/totals/a,b",  "/totals/1/2/3/4/5/6/7/8/9",
    };
    char path[300] = "/totals/";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect(bad[i], NULL, ROUTE_BAD);
    memset(path + 8, 'a', ARTICLE_MAX_BYTES);
    path[8 + ARTICLE_MAX_BYTES] = '\0';
    expect(path, NULL, ROUTE_TOTAL);
    append(path, sizeof path, "a");
    expect(path, NULL, ROUTE_BAD);
    memset(path + 8, 'a', sizeof path - 9);
    expect(path, NULL, ROUTE_BAD);
}

static void lists(void **state)
{
    char query[1024] = "articles=";
    (void)state;
    expect("/totals", "articles=a,b/c,d", ROUTE_TOTALS);
    assert_int_equal(route.n, 3);
    assert_string_equal(route.article[1].id, "b/c");
    expect("/totals", "articles=a%2Cb%2Fc", ROUTE_TOTALS); /* as URLSearchParams writes it */
    assert_int_equal(route.n, 2);
    assert_string_equal(route.article[1].id, "b/c");
    expect("/totals", "x=1&articles=a%2525b&y", ROUTE_TOTALS);
    assert_string_equal(route.article[0].id, "a%25b");

    expect("/totals", NULL, ROUTE_BAD);
    expect("/totals", "", ROUTE_BAD);
    expect("/totals", "article=a", ROUTE_BAD);
    expect("/totals", "articles", ROUTE_BAD);
    expect("/totals", "articles=", ROUTE_BAD);
    expect("/totals", "articles=a&articles=b", ROUTE_BAD);

    for (int i = 0; i < ROUTE_MAX_ARTICLES; i++)
        append(query, sizeof query, i == 0 ? "a1" : ",a1");
    expect("/totals", query, ROUTE_TOTALS);
    assert_int_equal(route.n, ROUTE_MAX_ARTICLES);
    append(query, sizeof query, ",a1");
    expect("/totals", query, ROUTE_BAD);
}

/* An invalid id is bad alone, in its place, and says what was asked as far as JSON can. */
static void bad_items(void **state)
{
    static const struct {
        const char *item, *id;
    } bad[] = {
        {"", ""},
        {"-b", "-b"},
        {"/2026/x", "/2026/x"},
        {"a%", "a%"},
        {"a%2", "a%2"},
        {"a%zzb", "a%zzb"},
        {"a%00b", "a%00b"},
        {"caf%C3%A9", "caf\xc3\xa9"},
        {"a%20b", "a b"},
        {"%FF%41", "?A"},
        {"a%C3", "a?"},
        {"%ED%A0%80", "???"},
        {"%C0%80", "??"},
        {"%F4%90%80%80", "????"},
        {"a+b", "a+b"},
        {"1/2/3/4/5/6/7/8/9", "1/2/3/4/5/6/7/8/9"},
    };
    char query[2048];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(query, sizeof query, "articles=good,%s%%2cworld/b", bad[i].item);
        expect("/totals", query, ROUTE_TOTALS);
        assert_int_equal(route.n, 3);
        assert_true(!route.article[0].bad && route.article[1].bad && !route.article[2].bad);
        assert_string_equal(route.article[1].id, bad[i].id);
        assert_int_equal(route.article[1].bytes, strlen(bad[i].id));
        assert_string_equal(route.article[2].id, "world/b");
    }
    expect("/totals", "articles=,", ROUTE_TOTALS);
    assert_true(route.n == 2 && route.article[0].bad && route.article[1].bad);

    memset(query, 'y', sizeof query);
    memcpy(query, "articles=", 9);
    query[9 + ARTICLE_MAX_BYTES] = '\0';
    expect("/totals", query, ROUTE_TOTALS);
    assert_false(route.article[0].bad);
    query[9 + ARTICLE_MAX_BYTES] = 'y';
    memcpy(query + 9 + ARTICLE_MAX_BYTES - 1, "%C3%A9yyy", 10); /* its character would be cut */
    expect("/totals", query, ROUTE_TOTALS);
    assert_true(route.n == 1 && route.article[0].bad);
    assert_int_equal(route.article[0].bytes, ARTICLE_MAX_BYTES);
    assert_int_equal(route.article[0].id[ARTICLE_MAX_BYTES - 1], '?');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_paths),   cmocka_unit_test(pages_for_frames),
        cmocka_unit_test(unknown_paths), cmocka_unit_test(one_article),
        cmocka_unit_test(bad_articles),  cmocka_unit_test(lists),
        cmocka_unit_test(bad_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "quiet.h"
#include "registry_layout.h"

#include "core/article.h"

#define HOUR_MS UINT64_C(3600000)
#define FORGET_S 3600
#define ROOM 4000

static struct registry_rules rules;
static struct registry *registry;
static unsigned char *memory;
static struct quiet quiet;
static uint64_t unix_ms, now_ms;

static int begin(void **state)
{
    (void)state;
    memset(&quiet, 0, sizeof quiet);
    rules = (struct registry_rules){
        .max = ROOM,
        .auto_create = true,
        .auto_create_rate = limit_rate_of(1000000, LIMIT_SECOND_NS, 1000000),
        .forget_hours = 1,
        .seed = 3,
    };
    if (kind_table_parse(&rules.kinds, "like,angry", NULL, 0) != 0)
        return -1;
    unix_ms = 500000 * HOUR_MS;
    now_ms = 5;
    memory = calloc(1, registry_layout_bytes(ROOM));
    registry_layout_format(memory, ROOM, &rules.kinds);
    registry = registry_new(memory, &rules);
    return registry == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    registry_free(registry);
    free(memory);
    return 0;
}

static void react(const char *article, uint64_t reader)
{
    struct registry_actor who = {.key = 1, .address = true, .reader = reader << 32};
    struct registry_answer answer = registry_judge(registry, article, strlen(article), 1, unix_ms);
    assert_int_not_equal(answer.verdict, REGISTRY_UNKNOWN);
    registry_use(registry, &answer, article, strlen(article), &who, 1, unix_ms);
}

static void invent(int from, int to)
{
    char article[ARTICLE_MAX_BYTES + 1];
    for (int i = from; i < to; i++) {
        snprintf(article, sizeof article, "%04d", i);
        memset(article + 4, 'x', ARTICLE_MAX_BYTES - 4); /* the longest there is */
        article[ARTICLE_MAX_BYTES] = '\0';
        for (uint64_t reader = 1; reader <= CREATOR_READERS_MAX; reader++)
            react(article, UINT32_MAX - reader);
    }
}

static bool look(void)
{
    return quiet_look(&quiet, registry, FORGET_S, now_ms, unix_ms);
}

static void a_list_names_who_reacted(void **state)
{
    char article[16];
    (void)state;
    react("a/b", 0xc2e4a11);
    react("a/b", 2);
    unix_ms += 2 * HOUR_MS;
    for (int i = 0; i < CREATOR_KEPT; i++) { /* not quiet yet */
        snprintf(article, sizeof article, "new-%d", i);
        react(article, 1);
    }
    while (!look())
        now_ms += 100;
    assert_string_equal(quiet.json,
                        "{\"quiet_s\":3600,\"articles\":[{\"article\":\"a/b\",\"readers\":["
                        "\"0c2e4a11\",\"00000002\"]}]}");
    assert_int_equal(quiet.bytes, strlen(quiet.json));
    assert_false(look()); /* not so soon again */
    now_ms += QUIET_SPACE_MS;
    while (!look())
        now_ms += 100;
    assert_non_null(strstr(quiet.json, "{\"quiet_s\":3600,\"articles\":[{\"article\":\"a/b\","));
}

static void where_nothing_is_quiet_nothing_is_said(void **state)
{
    (void)state;
    invent(0, CREATOR_KEPT + 5);
    for (int i = 0; i < 100; i++, now_ms += 100)
        assert_false(look());
}

/* A list is full, and has room, with the longest of everything; and what is asked for is never more
 * than is over what stays. */
static void lists_are_bounded(void **state)
{
    int lists = 0;
    (void)state;
    invent(0, 2 * QUIET_LIST_MAX + CREATOR_KEPT);
    unix_ms += 2 * HOUR_MS;
    for (int i = 0; i < 200 && lists < 2; i++, now_ms += 100) {
        int n = 0;
        if (!look())
            continue;
        for (const char *at = quiet.json; (at = strstr(at, "\"readers\"")) != NULL; at++)
            n++;
        assert_int_equal(n, QUIET_LIST_MAX);
        assert_int_equal(quiet.bytes, strlen(quiet.json));
        assert_true(quiet.bytes + 1 < sizeof quiet.json);
        assert_string_equal(quiet.json + quiet.bytes - 4, "]}]}");
        lists++;
    }
    assert_int_equal(lists, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_list_names_who_reacted, begin, end),
        cmocka_unit_test_setup_teardown(where_nothing_is_quiet_nothing_is_said, begin, end),
        cmocka_unit_test_setup_teardown(lists_are_bounded, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "shown.h"

static const struct audit_kinds kinds = {.name = {"", "like", "sad"}};

static struct audit_shown read_text(const char *json)
{
    struct audit_shown shown;
    shown_read(&shown, "world/a", &kinds, json, strlen(json));
    assert_true(shown.there);
    return shown;
}

static void test_a_total(void **state)
{
    (void)state;
    struct audit_shown shown =
        read_text("{\"article\":\"world/a\",\"total\":5,\"counts\":{\"like\":3,\"sad\":2},"
                  "\"version\":1795510800123456,\"updated_at\":\"x\"}");
    assert_true(shown.understood && shown.version == 1795510800123456u && shown.sum == 5);
    assert_true(shown.count[1] == 3 && shown.count[2] == 2 && shown.strange == 0);
    shown = read_text("{\"article\":\"world/a\",\"total\":-1,\"counts\":{\"like\":-1,\"meh\":4,"
                      "\"bah\":0},\"version\":0}");
    assert_true(shown.understood && shown.sum == -1 && shown.count[1] == -1 && shown.strange == 1);
}

static void test_what_is_hidden(void **state)
{
    (void)state;
    struct audit_shown shown = read_text("{\"article\":\"world/a\",\"hidden\":true}");
    assert_true(shown.understood && shown.hidden);
    static const char *const rows[] = {
        "{\"article\":\"world/b\",\"hidden\":true}",
        "{\"article\":\"world/a\",\"hidden\":false}",
        "{\"hidden\":true}",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        shown = read_text(rows[i]);
        require(!shown.understood && !shown.hidden, "%s", rows[i]);
    }
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "null",
        "[]",
        "{}",
        "nothing of the kind",
        "{\"article\":\"world/b\",\"total\":0,\"counts\":{},\"version\":0}",
        "{\"article\":\"world/a\",\"total\":0,\"counts\":{},\"version\":-1}",
        "{\"article\":\"world/a\",\"total\":0,\"counts\":{},\"version\":\"1\"}",
        "{\"article\":\"world/a\",\"total\":0,\"counts\":{},\"version\":1e300}",
        "{\"article\":\"world/a\",\"total\":0.5,\"counts\":{},\"version\":1}",
        "{\"article\":\"world/a\",\"total\":0,\"counts\":[],\"version\":1}",
        "{\"article\":\"world/a\",\"total\":0,\"counts\":{\"like\":\"1\"},\"version\":1}",
        "{\"article\":\"world/a\",\"counts\":{},\"version\":1}",
        "{\"article\":\"world/a\",\"total\":0,\"version\":1}",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        require(!read_text(rows[i]).understood, "%s", rows[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_total),
        cmocka_unit_test(test_what_is_hidden),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

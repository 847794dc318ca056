#include "unit.h"

#include "total.h"

static int read_text(const char *text, const char *kind, struct total *out)
{
    return total_read(text, strlen(text), kind, out);
}

static void a_total_of_the_feeds_is_read(void **state)
{
    struct total total;
    const char *text =
        "{\"article\":\"world/total/wow\",\"total\":15,\"counts\":{\"like\":3,\"wow\":"
        "12},\"version\":1795510800123456,\"updated_at\":\"2026-11-24T09:00:00Z\"}";
    (void)state;
    assert_int_equal(read_text(text, "wow", &total), 0);
    assert_int_equal(total.total, 15);
    assert_int_equal(total.count, 12);
    assert_true(total.version == 1795510800123456);
    assert_int_equal(read_text(text, "like", &total), 0);
    assert_int_equal(total.count, 3);
    assert_int_equal(read_text(text, "ow", &total), -1);
}

static void what_is_no_total_is_none(void **state)
{
    static const char *const rows[] = {
        "",
        "{}",
        "{\"total\":,\"wow\":1,\"version\":1}",
        "{\"total\":1,\"wow\":1,\"version\":",
        "{\"total\":1,\"wow\":-1,\"version\":1}",
        "{\"total\":1,\"version\":1}",
    };
    struct total total;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        require(read_text(rows[i], "wow", &total) == -1, "row %zu", i);
}

/* It ends where it is said to end, whatever follows. */
static void the_bytes_behind_are_not_read(void **state)
{
    struct total total;
    const char *text = "{\"total\":1,\"wow\":1,\"version\":123456";
    (void)state;
    assert_int_equal(total_read(text, strlen(text) - 3, "wow", &total), 0);
    assert_int_equal(total.version, 123);
}

static void what_is_written_is_read(void **state)
{
    char text[512];
    const struct total wrote = {.total = 7, .count = 6, .version = 5};
    struct total total;
    size_t bytes = total_write(text, sizeof text, "bench/post-1000", &wrote);
    (void)state;
    assert_true(bytes > 0);
    assert_int_equal(total_read(text, bytes, "wow", &total), 0);
    assert_memory_equal(&total, &wrote, sizeof total);
    assert_int_equal(total_write(text, bytes, "bench/post-1000", &wrote), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_total_of_the_feeds_is_read),
        cmocka_unit_test(what_is_no_total_is_none),
        cmocka_unit_test(the_bytes_behind_are_not_read),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

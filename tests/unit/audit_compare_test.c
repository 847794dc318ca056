#include "unit.h"

#include "audit/audit_compare.h"
#include "core/bytes.h"

#define VERSION 1795510800123456u

static const struct audit_kinds kinds = {.name = {"", "like", "sad", "", "wow"}};

/* A count that agrees with its head: 3 of kind 1, 2 of kind 2, a voter of nothing. */
static void agreeing(struct audit_count *count)
{
    unsigned char *head = count->head;
    memset(count, 0, sizeof *count);
    head[0] = 1;
    bytes_put_u64(head + 2, VERSION);
    bytes_put_u32(head + 14, 6);
    head[23] = 2;
    head[24] = 1;
    bytes_put_u32(head + 25, 3);
    head[29] = 2;
    bytes_put_u32(head + 30, 2);
    count->head_bytes = 34;
    count->count[0] = 1;
    count->count[1] = 3;
    count->count[2] = 2;
    count->registers = 6;
    count->changed = VERSION;
    count->last_version = VERSION + 5;
}

static void put_base(struct audit_count *count, unsigned char kind, int64_t value)
{
    count->base[0] = 1;
    count->base[1] = 1;
    count->base[2] = kind;
    bytes_put_u64(count->base + 3, (uint64_t)value);
    count->base_bytes = 11;
}

static void expect(const struct audit_differences *found, size_t i, enum audit_link link,
                   const char *what, int64_t expected, int64_t there)
{
    require(i < found->n, "%s: only %zu differences", what, found->n);
    const struct audit_difference *one = &found->of[i];
    require(one->link == link && strcmp(one->what, what) == 0, "%s instead of %s", one->what, what);
    require(one->expected == expected && one->found == there, "%s: %lld, %lld", what,
            (long long)one->expected, (long long)one->found);
}

static void test_registers(void **state)
{
    (void)state;
    static struct audit_count count;
    static struct audit_differences found;
    struct total total;
    agreeing(&count);
    put_base(&count, 4, 100);
    assert_true(audit_compare_registers(&count, &kinds, &total, &found));
    assert_int_equal(found.n, 0);
    assert_true(total.count[1] == 3 && total.count[4] == 100 && total_sum(&total) == 105);

    count.count[1] = 4;
    count.count[0] = 0;
    count.registers = 7;
    count.misplaced = 2;
    count.malformed = 1;
    count.changed = VERSION - 1;
    count.last_version = VERSION - 2;
    assert_true(audit_compare_registers(&count, &kinds, &total, &found));
    assert_int_equal(found.n, 6);
    expect(&found, 0, AUDIT_REGISTERS, "like", 4, 3);
    expect(&found, 1, AUDIT_REGISTERS, "voters", 7, 6);
    expect(&found, 2, AUDIT_REGISTERS, "in a wrong bucket", 0, 2);
    expect(&found, 3, AUDIT_REGISTERS, "of an unknown form", 0, 1);
    expect(&found, 4, AUDIT_REDIS, "version", VERSION - 1, VERSION);
    expect(&found, 5, AUDIT_REDIS, "version", VERSION - 2, VERSION);
}

static void test_a_kind_that_the_store_does_not_name(void **state)
{
    (void)state;
    static struct audit_count count;
    static struct audit_differences found;
    struct total total;
    agreeing(&count);
    count.count[3] = 2;
    count.registers = 8;
    bytes_put_u32(count.head + 14, 8);
    assert_true(audit_compare_registers(&count, &kinds, &total, &found));
    assert_int_equal(found.n, 2);
    expect(&found, 0, AUDIT_REGISTERS, "kind id 3", 2, 0);
    expect(&found, 1, AUDIT_REGISTERS, "of an unknown kind", 0, 2);
}

static void test_what_leaves_no_total(void **state)
{
    (void)state;
    static struct audit_count count;
    static struct audit_differences found;
    struct total total;
    agreeing(&count);
    count.head_bytes = 33;
    assert_false(audit_compare_registers(&count, &kinds, &total, &found));
    assert_int_equal(found.n, 1);
    expect(&found, 0, AUDIT_REDIS, "damaged head", 0, 1);
    for (int long_one = 0; long_one < 2; long_one++) {
        found.n = 0;
        agreeing(&count);
        put_base(&count, 4, 100);
        count.base_bytes = long_one ? SIZE_MAX : 10;
        assert_false(audit_compare_registers(&count, &kinds, &total, &found));
        assert_int_equal(found.n, 1);
        expect(&found, 0, AUDIT_REDIS, "damaged base", 0, 1);
    }
}

static void test_what_is_shown(void **state)
{
    (void)state;
    static struct audit_differences found;
    const struct total total = {.version = VERSION, .count = {0, 3, 2}};
    struct audit_shown shown = {
        .there = true, .understood = true, .version = VERSION, .sum = 5, .count = {0, 3, 2}};
    audit_compare_shown(&total, &shown, AUDIT_HTTP, &kinds, &found);
    assert_int_equal(found.n, 0);
    shown.version--;
    shown.count[2] = 7;
    shown.strange = 1;
    shown.sum = 11;
    audit_compare_shown(&total, &shown, AUDIT_HTTP, &kinds, &found);
    assert_int_equal(found.n, 4);
    expect(&found, 0, AUDIT_HTTP, "version", VERSION, VERSION - 1);
    expect(&found, 1, AUDIT_HTTP, "sad", 2, 7);
    expect(&found, 2, AUDIT_HTTP, "of an unknown kind", 0, 1);
    expect(&found, 3, AUDIT_HTTP, "total", 5, 11);
    found.n = 0;
    shown.understood = false;
    audit_compare_shown(&total, &shown, AUDIT_RETAINED, &kinds, &found);
    expect(&found, 0, AUDIT_RETAINED, "of an unknown form", 0, 1);
    found.n = 0;
    shown.there = false;
    audit_compare_shown(&total, &shown, AUDIT_RETAINED, &kinds, &found);
    expect(&found, 0, AUDIT_RETAINED, "there", 1, 0);
    assert_int_equal(found.n, 1);
}

static void test_what_is_hidden(void **state)
{
    (void)state;
    static struct audit_differences found;
    const struct total total = {.version = VERSION, .count = {0, 3, 2}};
    struct audit_shown none = {.there = false},
                       hidden = {.there = true, .understood = true, .hidden = true},
                       shown = {.there = true,
                                .understood = true,
                                .version = VERSION,
                                .sum = 5,
                                .count = {0, 3, 2}};
    audit_compare_hidden(&none, AUDIT_RETAINED, &found);
    audit_compare_hidden(&hidden, AUDIT_HTTP, &found);
    assert_int_equal(found.n, 0);
    audit_compare_hidden(&shown, AUDIT_RETAINED, &found);
    audit_compare_hidden(&hidden, AUDIT_RETAINED, &found);
    audit_compare_hidden(&shown, AUDIT_HTTP, &found);
    audit_compare_hidden(&none, AUDIT_HTTP, &found);
    audit_compare_shown(&total, &hidden, AUDIT_HTTP, &kinds, &found); /* though it should not be */
    assert_int_equal(found.n, 5);
    expect(&found, 0, AUDIT_RETAINED, "there", 0, 1);
    expect(&found, 1, AUDIT_RETAINED, "there", 0, 1);
    expect(&found, 2, AUDIT_HTTP, "hidden", 1, 0);
    expect(&found, 3, AUDIT_HTTP, "hidden", 1, 0);
    expect(&found, 4, AUDIT_HTTP, "hidden", 0, 1);
}

static void test_the_bound(void **state)
{
    (void)state;
    static struct audit_differences found;
    for (int i = 0; i < 2 * AUDIT_DIFFERENCES_MAX; i++)
        audit_differs(&found, AUDIT_REDIS, "a name that is longer than there is room for it", 1, 2);
    assert_int_equal(found.n, AUDIT_DIFFERENCES_MAX);
    assert_int_equal(strlen(found.of[0].what), AUDIT_WHAT_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_a_kind_that_the_store_does_not_name),
        cmocka_unit_test(test_what_leaves_no_total),
        cmocka_unit_test(test_what_is_shown),
        cmocka_unit_test(test_what_is_hidden),
        cmocka_unit_test(test_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

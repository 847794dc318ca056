#include "unit.h"

#include "core/bytes.h"
#include "core/total.h"

/* A head of three kinds with a floor, by hand from FORMATS.md 5.1. */
static const char head_hex[] = "01"               /* format */
                               "01"               /* flags: a floor follows */
                               "40e2010000000000" /* version 123456 */
                               "07000000"         /* article number 7 */
                               "11000000"         /* voters 17 */
                               "02"               /* level */
                               "05000000"         /* split position */
                               "03"               /* kinds */
                               "0103000000"       /* kind 1: 3 */
                               "02ffffffff"       /* kind 2: 4294967295 */
                               "0f0a000000"       /* kind 15: 10 */
                               "0500000000000000" /* floor 5 */;

static void reads_a_head(void **state)
{
    unsigned char head[TOTAL_HEAD_MAX_BYTES];
    size_t bytes = unit_hex(head_hex, head);
    struct total total;
    (void)state;
    assert_int_equal(total_parse_head(&total, head, bytes), 0);
    assert_int_equal(total.version, 123456);
    assert_int_equal(total.voters, 17);
    assert_int_equal(total.floor, 5);
    assert_int_equal(total.count[1], 3);
    assert_int_equal(total.count[15], 10);
    assert_int_equal(total.count[2], 4294967295u);
    assert_int_equal(total.count[3], 0);
    assert_int_equal(total_sum(&total), 4294967308);
}

static void reads_a_head_of_what_is_forgotten(void **state)
{
    unsigned char head[TOTAL_HEAD_MAX_BYTES];
    size_t bytes = unit_hex(head_hex, head);
    struct total total;
    (void)state;
    assert_int_equal(total_parse_head(&total, head, bytes), 0);
    assert_false(total.forgotten);
    head[1] = 2;
    assert_int_equal(total_parse_head(&total, head, bytes), -1); /* it has no floor */
    assert_int_equal(total_parse_head(&total, head, bytes - 8), 0);
    assert_true(total.forgotten);
    assert_int_equal(total.voters, 17);
    assert_int_equal(total.floor, 0);
}

static void refuses_heads(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        unsigned char value;
    } cases[] = {
        {"format 0", 0, 0},       {"format 2", 0, 2},       {"no floor flagged", 1, 0},
        {"unknown flag", 1, 3},   {"one kind less", 23, 2}, {"one kind more", 23, 4},
        {"16 kinds", 23, 16},     {"kind 0", 24, 0},        {"kind 16", 24, 16},
        {"kind repeated", 24, 2}, {"kind 255", 34, 255},    {"disorder", 24, 14},
        {"level 16", 18, 16},     {"level 255", 18, 255},   {"split position", 19, 16},
    };
    unsigned char head[TOTAL_HEAD_MAX_BYTES];
    size_t bytes = unit_hex(head_hex, head);
    struct total total;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        unsigned char changed[TOTAL_HEAD_MAX_BYTES];
        memcpy(changed, head, bytes);
        changed[cases[i].at] = cases[i].value;
        require(total_parse_head(&total, changed, bytes) == -1, "%s", cases[i].what);
    }
    for (size_t cut = 0; cut < bytes; cut++) {
        /* Of exactly the size, so that reading on would be found out. */
        unsigned char *exact = malloc(cut + 1);
        memcpy(exact, head, cut);
        require(total_parse_head(&total, exact, cut) == -1, "cut at %zu", cut);
        free(exact);
    }
    head[bytes] = 0;
    assert_int_equal(total_parse_head(&total, head, bytes + 1), -1);
}

static void reads_the_smallest_and_the_largest_head(void **state)
{
    unsigned char head[TOTAL_HEAD_MAX_BYTES] = {1};
    struct total total;
    (void)state;
    assert_int_equal(total_parse_head(&total, head, 24), 0);
    assert_int_equal(total_sum(&total), 0);
    assert_int_equal(total.version, 0);
    head[23] = KIND_MAX;
    for (unsigned char i = 0; i < KIND_MAX; i++) {
        head[24 + 5 * i] = (unsigned char)(i + 1);
        head[24 + 5 * i + 1] = i;
    }
    head[1] = 1;
    assert_int_equal(total_parse_head(&total, head, 24 + 15 * 5 + 8), 0);
    assert_int_equal(total_sum(&total), 105);
}

static void adds_a_base(void **state)
{
    unsigned char head[TOTAL_HEAD_MAX_BYTES];
    unsigned char base[] = {1, 2, 1,    100, 0,   0,   0,   0,   0,   0,
                            0, 3, 0xfe, 255, 255, 255, 255, 255, 255, 255};
    struct total total, before;
    (void)state;
    assert_int_equal(total_parse_head(&total, head, unit_hex(head_hex, head)), 0);
    assert_int_equal(total_add_base(&total, base, sizeof base), 0);
    assert_int_equal(total.count[1], 103);
    assert_int_equal(total.count[3], -2);
    assert_int_equal(total.count[15], 10);

    before = total;
    for (size_t cut = 0; cut < sizeof base; cut++)
        assert_int_equal(total_add_base(&total, base, cut), -1);
    base[11] = 1; /* kind 1 twice */
    assert_int_equal(total_add_base(&total, base, sizeof base), -1);
    base[11] = 0;
    assert_int_equal(total_add_base(&total, base, sizeof base), -1);
    base[11] = 16;
    assert_int_equal(total_add_base(&total, base, sizeof base), -1);
    base[11] = 2;
    base[0] = 2;
    assert_int_equal(total_add_base(&total, base, sizeof base), -1);
    assert_memory_equal(&total, &before, sizeof total);
    assert_int_equal(total_add_base(&total, "\1\0", 2), 0);
    assert_memory_equal(&total, &before, sizeof total);
}

static void never_overflows(void **state)
{
    unsigned char base[11] = {1, 1, 1};
    struct total total = {0};
    (void)state;
    bytes_put_u64(base + 3, INT64_MAX);
    assert_int_equal(total_add_base(&total, base, sizeof base), 0);
    assert_int_equal(total_add_base(&total, base, sizeof base), -1);
    assert_int_equal(total.count[1], INT64_MAX);
    total.count[2] = 1;
    assert_int_equal(total_sum(&total), INT64_MAX);
    total.count[1] = INT64_MIN;
    total.count[2] = -1;
    assert_int_equal(total_sum(&total), INT64_MIN);
}

static void a_version_is_a_time(void **state)
{
    static const struct {
        uint64_t version;
        const char *time;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1795510800999999, "2026-11-24T09:00:00.999Z"},
        {UINT64_MAX, "586524-01-19T08:01:49.551Z"},
    };
    char text[TOTAL_TIME_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        total_time(rows[i].version, text);
        assert_string_equal(text, rows[i].time);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_head),
        cmocka_unit_test(reads_a_head_of_what_is_forgotten),
        cmocka_unit_test(refuses_heads),
        cmocka_unit_test(reads_the_smallest_and_the_largest_head),
        cmocka_unit_test(adds_a_base),
        cmocka_unit_test(never_overflows),
        cmocka_unit_test(a_version_is_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

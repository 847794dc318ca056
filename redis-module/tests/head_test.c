#include "unit.h"

#include "head.h"

#include <stdlib.h>

static const struct head full = {
    .stored = true,
    .version = 1795510800000123,
    .number = 7,
    .voters = 300,
    .level = 2,
    .split = 15,
    .kinds = 1U << 1 | 1U << 15,
    .count = {[1] = 100, [15] = 4},
    .floored = true,
    .floor = 1ULL << 51,
};

static void comes_back_as_it_was(void **state)
{
    unsigned char out[HEAD_MAX_BYTES], again[HEAD_MAX_BYTES];
    struct head head;
    (void)state;
    size_t bytes = head_write(&full, out);
    assert_int_equal(bytes, 24 + 2 * 5 + 8);
    assert_int_equal(head_read(&head, out, bytes), 0);
    assert_true(head.version == full.version && head.number == 7 && head.voters == 300 &&
                head.level == 2 && head.split == 15 && head.kinds == full.kinds &&
                head.count[1] == 100 && head.count[15] == 4 && head.floor == full.floor);
    assert_true(head.stored && head.floored && !head.forgotten);
    assert_int_equal(head_write(&head, again), bytes);
    assert_memory_equal(out, again, bytes);
}

/* A copy of exactly so many bytes, so that a sanitizer sees what is read beyond them. */
static int read_copy(const unsigned char *in, size_t bytes)
{
    struct head head;
    unsigned char *copy = malloc(bytes > 0 ? bytes : 1);
    memcpy(copy, in, bytes);
    int rc = head_read(&head, copy, bytes);
    free(copy);
    return rc;
}

static void is_refused_in_any_other_form(void **state)
{
    static const struct {
        size_t at;
        unsigned char value;
    } damaged[] = {
        {0, 0},  {0, 2},  {1, 0},  {1, 2},   {1, 3},   {1, 128}, {18, 16}, {18, 255}, {19, 16},
        {23, 1}, {23, 3}, {24, 0}, {24, 15}, {24, 16}, {29, 1},  {29, 0},  {29, 16},
    };
    unsigned char out[HEAD_MAX_BYTES];
    (void)state;
    size_t bytes = head_write(&full, out);
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        unsigned char whole = out[damaged[i].at];
        out[damaged[i].at] = damaged[i].value;
        require(read_copy(out, bytes) == -1, "case %zu", i);
        out[damaged[i].at] = whole;
    }
    for (size_t n = 0; n < bytes; n++)
        require(read_copy(out, n) == -1, "%zu bytes", n);
    assert_int_equal(read_copy(out, bytes), 0);
}

static void lists_kinds_with_a_count(void **state)
{
    struct head head = full;
    (void)state;
    head_count(&head, 1, -100);
    head_count(&head, 15, -5); /* fewer than none */
    head_count(&head, 3, 2);
    head_count(&head, 4, 0);
    assert_true(head.kinds == 1U << 3 && head.count[3] == 2);
    head_count(&head, 3, 1);
    assert_true(head.kinds == 1U << 3 && head.count[3] == 3);
    head_count(&head, 3, -4);
    assert_int_equal(head.kinds, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(is_refused_in_any_other_form),
        cmocka_unit_test(lists_kinds_with_a_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "session.h"

/* Allocations that fail when a test says so (--wrap). */
static volatile long allocations_left = -1;
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

static bool short_of_memory(void)
{
    if (allocations_left == 0)
        return true;
    if (allocations_left > 0)
        allocations_left--;
    return false;
}

void *__wrap_malloc(size_t bytes)
{
    return short_of_memory() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    return short_of_memory() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return short_of_memory() ? NULL : __real_realloc(memory, bytes);
}

static struct session_table *table;
static int one, other; /* connections */
static const void *there;

static int begin(void **state)
{
    (void)state;
    allocations_left = -1;
    there = NULL;
    table = session_table_new(6, 3);
    return table == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    session_table_free(table);
    return 0;
}

static bool is_there(void *user, const void *holder)
{
    (void)user;
    return holder == there;
}

static void an_address_has_so_many(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_true(session_may_begin(table, id, 7));
        assert_true(session_begin(table, id, 7, &one, 10, 0));
    }
    assert_false(session_may_begin(table, 4, 7));
    assert_false(session_begin(table, 4, 7, &one, 10, 0));
    assert_true(session_may_begin(table, 3, 7)); /* it is there */
    assert_true(session_begin(table, 3, 8, &one, 10, 0));
    assert_int_equal(session_table_count(table), 3);
    for (uint64_t id = 4; id <= 6; id++)
        assert_true(session_begin(table, id, 8, &one, 10, 0)); /* 3 is still 7's */
    assert_false(session_begin(table, 7, 9, &one, 10, 0));     /* the table is full */
    session_over(table, 1, &one);                              /* it is its own */
    assert_false(session_may_begin(table, 7, 7));
    session_over(table, 1, &other);
    session_over(table, 1, &other);
    assert_true(session_begin(table, 7, 7, &one, 10, 0));
    assert_false(session_may_begin(table, 8, 7));
}

static void it_expires_after_its_connection(void **state)
{
    (void)state;
    assert_true(session_begin(table, 1, 7, &one, 10, 100));
    there = &one;
    session_tend(table, 100 + 10 + SESSION_GRACE_S, 100, is_there, NULL);
    assert_int_equal(session_table_count(table), 1);
    session_leave(table, 1, &other, 200); /* another's end */
    session_leave(table, 1, &one, 200);
    session_leave(table, 2, &one, 200); /* unknown */
    session_tend(table, 200 + 10 + SESSION_GRACE_S - 1, 100, is_there, NULL);
    assert_int_equal(session_table_count(table), 1);
    session_tend(table, 200 + 10 + SESSION_GRACE_S, 100, is_there, NULL);
    assert_int_equal(session_table_count(table), 0);
}

static void a_take_over_is_no_end(void **state)
{
    (void)state;
    assert_true(session_begin(table, 1, 7, &one, 10, 0));
    assert_true(session_begin(table, 1, 7, &other, 10, 5));
    session_leave(table, 1, &one, 5);
    there = &other;
    session_tend(table, 1000, 100, is_there, NULL);
    assert_int_equal(session_table_count(table), 1);
}

static void one_whose_connection_nobody_told_the_end_of_expires(void **state)
{
    (void)state;
    assert_true(session_begin(table, 1, 7, &one, 10, 0));
    session_tend(table, 11, 100, is_there, NULL);
    assert_int_equal(session_table_count(table), 1);
    session_tend(table, 12, 100, is_there, NULL);
    assert_int_equal(session_table_count(table), 0);
}

static void one_without_end_stays(void **state)
{
    (void)state;
    assert_true(session_begin(table, 1, 7, &one, SESSION_NEVER, 0));
    session_leave(table, 1, &one, 1);
    session_tend(table, UINT64_MAX - 1, 100, is_there, NULL);
    assert_int_equal(session_table_count(table), 1);
}

static void so_many_are_forgotten_at_once(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 3; id++)
        assert_true(session_begin(table, id, id, &one, 1, 0));
    session_tend(table, 100, 2, is_there, NULL);
    assert_int_equal(session_table_count(table), 1);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    for (long n = 0; n < 6; n++) {
        allocations_left = n;
        bool begun = session_begin(table, 1, 7, &one, 1, 0);
        allocations_left = -1;
        assert_int_equal(session_table_count(table), begun ? 1 : 0);
        session_over(table, 1, &other);
    }
    for (uint64_t id = 1; id <= 3; id++) /* nothing is left of what failed */
        assert_true(session_begin(table, id, 7, &one, 1, 0));
    allocations_left = 0;
    assert_null(session_table_new(1, 1));
    allocations_left = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_address_has_so_many, begin, end),
        cmocka_unit_test_setup_teardown(it_expires_after_its_connection, begin, end),
        cmocka_unit_test_setup_teardown(a_take_over_is_no_end, begin, end),
        cmocka_unit_test_setup_teardown(one_whose_connection_nobody_told_the_end_of_expires, begin,
                                        end),
        cmocka_unit_test_setup_teardown(one_without_end_stays, begin, end),
        cmocka_unit_test_setup_teardown(so_many_are_forgotten_at_once, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_there_is_none, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

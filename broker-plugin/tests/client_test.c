#include "unit.h"

#include "client.h"

/* --- memory that is short when a test says so (--wrap) --- */

static volatile long allocations_left =
    -1; /* -1: no bound. Volatile, as malloc is known to change nothing */
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

static const struct service feed = {.name = "tally-feed", .role = ROLE_FEED};
static const struct role_facts reader = {.admitted = true, .role = ROLE_READER, .source = 'c'};
static const struct role_facts service = {.admitted = true, .role = ROLE_FEED, .service = &feed};

static struct client_table *table;

static int begin(void **state)
{
    (void)state;
    allocations_left = -1;
    table = client_table_new(1000);
    return table == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    allocations_left = -1;
    client_table_free(table);
    return 0;
}

/* A pointer that nobody may look into. */
static const void *key(uintptr_t n)
{
    return (const void *)(n * 16); // NOLINT(performance-no-int-to-ptr)
}

static void remembers_connections(void **state)
{
    (void)state;
    assert_null(client_find(table, key(1)));
    struct client *client = client_begin(table, key(1), &reader);
    assert_non_null(client);
    assert_ptr_equal(client_find(table, key(1)), client);
    assert_ptr_equal(client->key, key(1));
    assert_int_equal(client->facts.source, 'c');
    assert_null(client_find(table, key(2)));
    assert_ptr_equal(client_begin(table, key(2), &service)->facts.service, &feed);
    assert_ptr_equal(client_find(table, key(1)), client);
    assert_int_equal(client_table_count(table), 2);
}

static void forgets_readers_however_often_it_is_told(void **state)
{
    (void)state;
    client_end(table, key(1)); /* never seen */
    client_begin(table, key(1), &reader);
    client_begin(table, key(2), &reader);
    client_end(table, key(1));
    client_end(table, key(1));
    assert_null(client_find(table, key(1)));
    assert_non_null(client_find(table, key(2)));
    assert_int_equal(client_table_count(table), 1);
}

static void takes_a_pointer_that_comes_again_for_a_new_connection(void **state)
{
    (void)state;
    struct client *client = client_begin(table, key(1), &service);
    assert_true(client_subscribe(client, 2));
    assert_true(client_subscribe(client, 2));
    assert_false(client_subscribe(client, 2));
    while (receipt_budget_take(&client->receipts, 1000))
        ;
    client = client_begin(table, key(1), &reader); /* its end was never told */
    assert_null(client->facts.service);
    assert_int_equal(client->facts.role, ROLE_READER);
    assert_true(client_subscribe(client, 1));
    assert_false(client_subscribe(client, 1));
    assert_true(receipt_budget_take(&client->receipts, 1000));
    assert_int_equal(client_table_count(table), 1);
}

static void keeps_a_service_for_its_will(void **state)
{
    (void)state;
    client_begin(table, key(1), &service);
    client_end(table, key(1));
    client_end(table, key(1));
    struct client *client = client_find(table, key(1));
    assert_non_null(client);
    assert_true(client->ended);
    assert_ptr_equal(client->facts.service, &feed);
    client = client_begin(table, key(1), &reader);
    assert_false(client->ended);
    client_end(table, key(1));
    assert_null(client_find(table, key(1)));
}

static void keeps_a_bounded_number_of_services_that_ended(void **state)
{
    (void)state;
    for (uintptr_t i = 1; i <= CLIENT_ENDED_MAX + 10; i++) {
        client_begin(table, key(i), &service);
        client_end(table, key(i));
    }
    assert_int_equal(client_table_count(table), CLIENT_ENDED_MAX);
    assert_null(client_find(table, key(10)));
    assert_non_null(client_find(table, key(11)));
    /* One that lives again is not deleted when its turn as an ended one would have come. */
    client_begin(table, key(11), &service);
    for (uintptr_t i = 200; i < 200 + 2 * CLIENT_ENDED_MAX; i++) {
        client_begin(table, key(i), &service);
        client_end(table, key(i));
    }
    assert_non_null(client_find(table, key(11)));
    assert_false(client_find(table, key(11))->ended);
    assert_int_equal(client_table_count(table), CLIENT_ENDED_MAX + 1);
}

static void is_bounded(void **state)
{
    (void)state;
    for (uintptr_t i = 1; i <= 1000; i++)
        assert_non_null(client_begin(table, key(i), &reader));
    assert_null(client_begin(table, key(1001), &reader));
    assert_null(client_find(table, key(1001)));
    assert_non_null(client_begin(table, key(1000), &reader)); /* is there already */
    client_end(table, key(1));
    assert_non_null(client_begin(table, key(1001), &reader));
    assert_int_equal(client_table_count(table), 1000);
}

/* Whichever allocation fails, nothing is half remembered; uthash would end the process. */
static void bears_a_shortage_of_memory(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (uintptr_t i = 1; i <= 900; i++) {
        allocations_left = (long)(i % 4);
        const struct client *client = client_begin(table, key(i), &reader);
        allocations_left = -1;
        failed += client == NULL;
        assert_ptr_equal(client_find(table, key(i)), client);
    }
    assert_true(failed >= 225);
    assert_true(failed < 900);
    assert_int_equal(client_table_count(table), 900 - failed);
    allocations_left = 0;
    assert_null(client_table_new(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(remembers_connections, begin, end),
        cmocka_unit_test_setup_teardown(forgets_readers_however_often_it_is_told, begin, end),
        cmocka_unit_test_setup_teardown(takes_a_pointer_that_comes_again_for_a_new_connection,
                                        begin, end),
        cmocka_unit_test_setup_teardown(keeps_a_service_for_its_will, begin, end),
        cmocka_unit_test_setup_teardown(keeps_a_bounded_number_of_services_that_ended, begin, end),
        cmocka_unit_test_setup_teardown(is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(bears_a_shortage_of_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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
    assert_true(client_subscribe(client, 2, 0));
    assert_true(client_subscribe(client, 2, 0));
    assert_false(client_subscribe(client, 2, 0));
    client->receipts = client->refusals = 1000;
    client = client_begin(table, key(1), &reader); /* its end was never told */
    assert_null(client->facts.service);
    assert_int_equal(client->facts.role, ROLE_READER);
    assert_true(client_subscribe(client, 1, 0));
    assert_false(client_subscribe(client, 1, 0));
    assert_int_equal(client->receipts, 0);
    assert_int_equal(client->refusals, 0);
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
    assert_int_equal(client->phase, CLIENT_ENDED);
    assert_ptr_equal(client->facts.service, &feed);
    client = client_begin(table, key(1), &reader);
    assert_int_equal(client->phase, CLIENT_CONNECTED);
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
    assert_int_equal(client_find(table, key(11))->phase, CLIENT_CONNECTED);
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

/* --- readers with a token --- */

static const struct role_facts bearer = {.admitted = true, .role = ROLE_READER, .source = 't'};

static struct client *begin_proved(uintptr_t n, const char *client_id, const char *name,
                                   uint64_t expires_s)
{
    struct token token = {.reader_bytes = strlen(name), .expires_s = expires_s};
    memcpy(token.reader, name, token.reader_bytes);
    return client_begin_proved(table, key(n), &bearer, client_id, &token);
}

static bool is_reader(const struct client *client, const char *name)
{
    size_t bytes;
    const char *found = client_reader(client, &bytes);
    return name == NULL ? found == NULL && bytes == 0
                        : bytes == strlen(name) && memcmp(found, name, bytes) == 0;
}

static bool expires_next(uint64_t now_s, const char *client_id)
{
    char found[ROLE_CLIENT_ID_MAX_BYTES + 1];
    return client_next_expired(table, now_s, found)
               ? client_id != NULL && strcmp(found, client_id) == 0
               : client_id == NULL;
}

static void remembers_whom_a_token_names(void **state)
{
    (void)state;
    struct client *client = begin_proved(1, "phone", "one", 100);
    assert_ptr_equal(client_find(table, key(1)), client);
    assert_int_equal(client->facts.source, 't');
    assert_true(is_reader(client, "one"));
    assert_false(client_expired(client, 99));
    assert_true(client_expired(client, 100));
    assert_true(is_reader(begin_proved(2, "desk", "one", 100), "one"));
    const struct client *plain = client_begin(table, key(3), &reader);
    assert_true(is_reader(plain, NULL));
    assert_false(client_expired(plain, UINT64_MAX));
    /* A pointer that comes again, with another token, without one, and with one again. */
    assert_true(is_reader(begin_proved(1, "phone", "another", 200), "another"));
    assert_true(is_reader(client_begin(table, key(1), &reader), NULL));
    assert_true(is_reader(begin_proved(1, "phone", "one", 300), "one"));
    client_begin(table, key(4), &service);
    client_end(table, key(4));
    assert_true(is_reader(begin_proved(4, "tablet", "one", 300), "one"));
    assert_int_equal(client_find(table, key(4))->phase, CLIENT_CONNECTED);
    assert_int_equal(client_table_count(table), 4);
}

static void ends_whose_tokens_have_expired(void **state)
{
    (void)state;
    assert_true(expires_next(UINT64_MAX, NULL));
    begin_proved(1, "late", "r", 200);
    begin_proved(2, "soon", "r", 100);
    begin_proved(3, "gone", "r", 50);
    client_begin(table, key(4), &reader);
    client_end(table, key(3));
    assert_true(expires_next(99, NULL));
    assert_true(expires_next(100, "soon"));
    assert_true(expires_next(100, NULL));
    /* It is there yet. */
    assert_true(expires_next(100 + CLIENT_EXPIRED_AGAIN_S - 1, NULL));
    assert_true(expires_next(100 + CLIENT_EXPIRED_AGAIN_S, "soon"));
    client_end(table, key(2));
    assert_true(expires_next(300, "late"));
    assert_true(expires_next(300, NULL));
    client_end(table, key(1));
    assert_true(expires_next(UINT64_MAX, NULL));
    assert_int_equal(client_table_count(table), 1);
}

/* The broker ends a connection by its client id: a new one that has it now is not to be ended. */
static void spares_who_took_the_client_id_over(void **state)
{
    (void)state;
    struct client *old = begin_proved(1, "same", "r", 100);
    begin_proved(2, "same", "r", 200);
    assert_true(expires_next(150, NULL));
    assert_true(client_expired(old, 150)); /* and yet it may not react */
    client_end(table, key(1));
    assert_true(expires_next(200, "same"));
    client_supersede(table, "other");
    client_supersede(table, "same"); /* by one without a token */
    assert_true(expires_next(UINT64_MAX, NULL));
    client_supersede(table, "same");
    client_end(table, key(2));
    assert_int_equal(client_table_count(table), 0);
}

/* A client that finds no room is refused, and leaves the client id, and its end, with whom it is.
 */
static void whom_it_turns_away_takes_no_client_id(void **state)
{
    (void)state;
    begin_proved(1, "same", "r", 100);
    uintptr_t i = 2;
    while (client_begin(table, key(i), &reader) != NULL)
        i++;
    assert_null(begin_proved(i, "same", "r", 200));
    assert_true(expires_next(100, "same"));
}

/* A session may ask again for what it has, up to the bound, and for no more beyond. */
static void bounds_the_filters_of_a_session(void **state)
{
    (void)state;
    struct client *client = client_begin(table, key(1), &reader);
    assert_true(client_subscribe(client, 3, 3));
    assert_false(client_subscribe(client, 3, 4));
    assert_true(client_subscribe(client, 3, 0));
    assert_true(client_subscribe(client, 3, 0));
    assert_false(client_subscribe(client, 3, 0));
}

/* Everybody has a turn, also where those whose turn it is go. */
static void gives_each_a_turn(void **state)
{
    (void)state;
    assert_null(client_next(table));
    for (uintptr_t i = 1; i <= 3; i++)
        client_begin(table, key(i), &reader);
    for (uintptr_t i = 1; i <= 7; i++)
        assert_ptr_equal(client_next(table)->key, key((i - 1) % 3 + 1));
    client_end(table, key(2)); /* the next one */
    assert_ptr_equal(client_next(table)->key, key(3));
    client_end(table, key(1));
    assert_ptr_equal(client_next(table)->key, key(3));
    client_end(table, key(3));
    assert_null(client_next(table));
}

static void takes_no_more_memory_of_others(void **state)
{
    (void)state;
    assert_true(sizeof(struct client) <= 96); /* what it was without tokens */
}

/* Whichever allocation fails, nothing is half remembered; uthash would end the process. */
static void bears_a_shortage_of_memory(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (uintptr_t i = 1; i <= 900; i++) {
        allocations_left = (long)(i % 4);
        char client_id[16];
        (void)snprintf(client_id, sizeof client_id, "%u", (unsigned)i);
        const struct client *client =
            i % 8 < 4 ? client_begin(table, key(i), &reader) : begin_proved(i, client_id, "r", i);
        allocations_left = -1;
        failed += client == NULL;
        assert_ptr_equal(client_find(table, key(i)), client);
    }
    assert_true(failed >= 225);
    assert_true(failed < 900);
    assert_int_equal(client_table_count(table), 900 - failed);
    allocations_left = 0;
    assert_null(client_table_new(1));
    char client_id[ROLE_CLIENT_ID_MAX_BYTES + 1];
    while (client_next_expired(table, 1000, client_id))
        failed++;
    assert_true(failed > 225);
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
        cmocka_unit_test_setup_teardown(remembers_whom_a_token_names, begin, end),
        cmocka_unit_test_setup_teardown(ends_whose_tokens_have_expired, begin, end),
        cmocka_unit_test_setup_teardown(spares_who_took_the_client_id_over, begin, end),
        cmocka_unit_test_setup_teardown(whom_it_turns_away_takes_no_client_id, begin, end),
        cmocka_unit_test_setup_teardown(bounds_the_filters_of_a_session, begin, end),
        cmocka_unit_test_setup_teardown(gives_each_a_turn, begin, end),
        cmocka_unit_test(takes_no_more_memory_of_others),
        cmocka_unit_test_setup_teardown(bears_a_shortage_of_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

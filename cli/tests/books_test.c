#include "unit.h"

#include "books.h"
#include "core/bytes.h"

#define EDGE 0x0f3c5a0000000001u
#define STORE 77u

static struct books books;
static char found[16][80];
static size_t n;

static void note(void *user, const char *subject, const char *what, int64_t expected, int64_t there)
{
    (void)user;
    if (n < COUNT_OF(found))
        snprintf(found[n++], sizeof found[0], "%s %s %lld %lld", subject, what, (long long)expected,
                 (long long)there);
}

static void compare(void)
{
    n = 0;
    books_compare(&books, STORE, note, NULL);
}

static void position(unsigned char out[40], uint64_t at, uint64_t sequence, uint64_t quarantined,
                     uint64_t lost, uint64_t edge)
{
    bytes_put_u64(out, at);
    bytes_put_u64(out + 8, sequence);
    bytes_put_u64(out + 16, quarantined);
    bytes_put_u64(out + 24, lost);
    bytes_put_u64(out + 32, edge);
}

/* Two current rings and an old one; 100 + 40 + 30 admitted, 5 in rings that are gone. */
static void setup(void)
{
    unsigned char raw[40];
    books_begin(&books, EDGE);
    books_add_ring(&books, &(struct spool_view_ring){
                               .shard = 0, .ring_id = 0xaa, .write = 6400, .store_id = STORE});
    books_add_ring(&books, &(struct spool_view_ring){.shard = 1, .ring_id = 0xbb, .write = 2560});
    books_add_ring(&books,
                   &(struct spool_view_ring){
                       .shard = 1, .ring_id = 0xcc, .name_id = 0xcc, .old = true, .write = 1920});
    position(raw, 5760, 90, 2, 3, EDGE);
    assert_true(books_add_position(&books, 0, "00000000000000aa", raw, 40));
    position(raw, 640, 10, 0, 0, EDGE);
    assert_true(books_add_position(&books, 1, "00000000000000cc", raw, 40));
    position(raw, 64, 1, 0, 0, EDGE); /* its file is gone, its numbers are not folded yet */
    assert_true(books_add_position(&books, 1, "00000000000000dd", raw, 40));
    position(raw, 64, 9, 1, 0, 0x1234);
    assert_true(books_add_position(&books, 1, "00000000000000ee", raw, 40));
    books_add_field(&books, "0f3c5a0000000001:applied", "3");
    books_add_field(&books, "0f3c5a0000000001:quarantined", "1");
    books_add_field(&books, "0000000000001234:applied", "7");
    books_add_field(&books, "rubbish", "7");
    books_add_field(&books, "0f3c5a0000000001:else", "7");
    books.ring[0].rest = (struct spool_view_rest){.waiting = 10, .end = 100};
    books.ring[1].rest = (struct spool_view_rest){.waiting = 40, .end = 40};
    books.ring[2].rest = (struct spool_view_rest){.waiting = 20, .end = 30};
}

static void test_they_add_up(void **state)
{
    (void)state;
    setup();
    books_close(&books, 175);
    assert_int_equal(books.sum.applied, 85 + 10 + 1 + 3);
    assert_int_equal(books.sum.waiting, 70);
    assert_int_equal(books.sum.quarantined, 3);
    assert_int_equal(books.sum.lost, 3);
    assert_int_equal(books.gone.applied, 4);
    assert_int_equal(books.others, 1);
    assert_true(books.other[0].edge == 0x1234 && books.other[0].sum.applied == 15 &&
                books.other[0].sum.quarantined == 1);
    assert_string_equal(books.ring[0].name, "ring-0");
    assert_string_equal(books.ring[2].name, "old-1-00000000000000cc");
    compare();
    assert_int_equal(n, 0);
}

static void test_what_differs(void **state)
{
    (void)state;
    setup();
    books_close(&books, 178);
    compare();
    assert_int_equal(n, 1);
    assert_string_equal(found[0], "edge admitted 178 175");

    books_close(&books, 175);
    books.ring[0].ring.applied = 5824;
    books.ring[0].ring.store_id = STORE + 1;
    books.ring[1].rest.missing = 4;
    books.ring[2].rest.between = true;
    books.ring[2].ring.applied = 100000; /* of an old one, more may have been applied */
    compare();
    assert_int_equal(n, 4);
    assert_string_equal(found[0], "ring-0 of another store 0 1");
    assert_string_equal(found[1], "ring-0 applied up to 5760 5824");
    assert_string_equal(found[2], "ring-1 missing 0 4");
    assert_string_equal(found[3], "old-1-00000000000000cc damaged records 0 1");

    setup();
    books_close(&books, 175);
    books.ring[0].rest.beyond = true;
    books.ring[1].ring.damaged = books.ring[1].rest.between = true;
    compare();
    assert_int_equal(n, 2);
    assert_string_equal(found[0], "ring-0 written 5760 6400");
    assert_string_equal(found[1], "ring-1 damaged header 0 1");
}

static void test_bounds(void **state)
{
    (void)state;
    unsigned char raw[40];
    setup();
    assert_false(books_add_position(&books, 0, "aa", "short", 5));
    for (uint64_t edge = 0; edge < 2 * BOOKS_EDGES_MAX; edge++) {
        position(raw, 64, 1, 0, 0, edge);
        assert_true(books_add_position(&books, 0, "99", raw, 40));
    }
    assert_int_equal(books.others, BOOKS_EDGES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_they_add_up),
        cmocka_unit_test(test_what_differs),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

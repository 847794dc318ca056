/* ring_scan over rings that lost something: never a wrong record, every whole one found. */
#include "unit.h"

#include "spool/ring_scan.h"
#include "test_ring.h"

#define SEED 77u
#define RECORDS_MAX 2048

/* A ring that was run for a while, every record that was ever in it, and where and how each stood.
 */
struct run {
    struct test_ring ring;
    struct ring_producer producer;
    struct ring_consumer consumer;
    unsigned char *intact; /* the whole memory as it was */
    uint64_t n;
    struct {
        uint64_t position;
        size_t bytes;
        unsigned char content[RECORD_MAX_BYTES];
    } records[RECORDS_MAX];
};

static struct run *run_new(uint64_t capacity)
{
    struct run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    run->ring = test_ring_new(capacity);
    run->producer = test_ring_producer(&run->ring);
    run->consumer = test_ring_consumer(&run->ring);
    run->intact = malloc(run->ring.bytes);
    assert_non_null(run->intact);
    return run;
}

static void run_free(struct run *run)
{
    test_ring_free(&run->ring);
    free(run->intact);
    free(run);
}

/* Appends up to `n` records in all, applying what is in the way. */
static void run_to(struct run *run, uint64_t n)
{
    while (run->n < n) {
        struct test_ring_text text;
        struct record record = test_ring_record(run->n, SEED, &text), taken;
        while (ring_producer_append(&run->producer, &record) != 0) {
            assert_int_equal(ring_consumer_next(&run->consumer, &taken), 1);
            ring_consumer_applied(&run->consumer, run->consumer.next);
        }
        run->records[run->n].position = record.position;
        run->records[run->n].bytes = record_bytes(&record);
        record_write(&record, RING_ID, run->records[run->n].content);
        run->n++;
    }
    memcpy(run->intact, run->ring.memory, run->ring.bytes);
}

static bool still_there(const struct run *run, uint64_t n)
{
    return memcmp(test_ring_data(&run->ring) + run->records[n].position % run->ring.capacity,
                  run->records[n].content, run->records[n].bytes) == 0;
}

struct found {
    uint64_t n;
    uint64_t sequence[RECORDS_MAX];
    bool wrong;
};

static int note(void *user, const struct record *record)
{
    struct found *found = user;
    found->wrong = found->wrong || !test_ring_is(record, record->sequence, SEED);
    found->sequence[found->n++] = record->sequence;
    return 0;
}

/* Scans what the ring's memory now holds, and holds it against what is still there byte by byte. */
static void check(const struct run *run, const char *what, uint64_t where)
{
    static struct found found;
    struct ring_scan scan;
    uint64_t newest = UINT64_MAX, expected = 0, gaps = 0, last = 0;
    uint64_t read = bytes_get_u64(run->intact + RING_READ);
    bool lost = false;

    found = (struct found){0};
    require(ring_scan(run->ring.memory, run->ring.bytes, note, &found, &scan) == 0, "%s at %llu",
            what, (unsigned long long)where);
    require(!found.wrong, "%s at %llu", what, (unsigned long long)where);
    for (uint64_t n = 0; n < run->n; n++) {
        if (still_there(run, n))
            newest = n;
        else
            lost = lost || run->records[n].position >= read;
    }
    uint64_t end =
        newest == UINT64_MAX ? 0 : run->records[newest].position + run->records[newest].bytes;
    for (uint64_t n = 0; newest != UINT64_MAX && n <= newest; n++) {
        if (!still_there(run, n) || end - run->records[n].position > run->ring.capacity)
            continue;
        require(expected < found.n && found.sequence[expected] == n, "%s at %llu: record %llu",
                what, (unsigned long long)where, (unsigned long long)n);
        if (expected == 0)
            assert_int_equal(scan.oldest, run->records[n].position);
        else
            gaps += n - last - 1;
        last = n;
        expected++;
    }
    require(found.n == expected && scan.records == expected, "%s at %llu: %llu records", what,
            (unsigned long long)where, (unsigned long long)found.n);
    require(scan.end == end, "%s at %llu", what, (unsigned long long)where);
    assert_true(expected == 0 || scan.end_sequence == newest + 1);
    assert_true(scan.damaged >= gaps);
    require(!lost || scan.damaged > 0, "%s at %llu: loss not noticed", what,
            (unsigned long long)where);
}

static void restore(struct run *run)
{
    memcpy(run->ring.memory, run->intact, run->ring.bytes);
}

/* Rings of a first lap, of one that has just wrapped, and of later ones. */
static const uint64_t lengths[] = {0, 1, 12, 30, 45, 60, 200};

static void finds_all_of_an_intact_ring(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 300; n++) {
        struct run *run = run_new(4096);
        struct ring_scan scan;
        run_to(run, n);
        check(run, "intact", n);
        assert_int_equal(ring_scan(run->ring.memory, run->ring.bytes, NULL, NULL, &scan), 0);
        require(scan.damaged == 0, "%llu records", (unsigned long long)n);
        assert_int_equal(scan.end, run->producer.write);
        assert_int_equal(scan.end_sequence, n);
        run_free(run);
    }
}

static void survives_a_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct run *run = run_new(4096);
        run_to(run, lengths[i]);
        for (uint64_t k = 0; k <= run->ring.capacity; k++) {
            memset(test_ring_data(&run->ring) + k, 0, run->ring.capacity - k);
            check(run, "cut", k);
            restore(run);
        }
        /* What was last written is missing from its end on, the lap before is still there. */
        for (uint64_t k = 0; k <= run->ring.capacity; k++) {
            memset(test_ring_data(&run->ring), 0, k);
            check(run, "beginning cut", k);
            restore(run);
        }
        run_free(run);
    }
}

static void survives_a_hole_at_every_byte(void **state)
{
    uint64_t random = 4;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct run *run = run_new(4096);
        run_to(run, lengths[i]);
        for (uint64_t k = 0; k < run->ring.capacity; k++)
            for (int kind = 0; kind < 3; kind++) {
                for (uint64_t b = k; b < k + 16 && b < run->ring.capacity; b++)
                    test_ring_data(&run->ring)[b] = kind == 0 ? 0
                                                    : kind == 1
                                                        ? 0xff
                                                        : (unsigned char)unit_random(&random);
                check(run, "hole", k);
                restore(run);
            }
        run_free(run);
    }
}

static void survives_a_flip_of_every_bit(void **state)
{
    struct run *run = run_new(4096);
    (void)state;
    run_to(run, 60);
    for (uint64_t bit = 0; bit < run->ring.capacity * 8; bit++) {
        test_ring_data(&run->ring)[bit / 8] ^= (unsigned char)(1u << bit % 8);
        check(run, "bit", bit);
        test_ring_data(&run->ring)[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    run_free(run);
}

/* After a power loss each page may be an older one than its neighbour: here of two moments, in all
 * mixtures. */
static void survives_every_mixture_of_pages(void **state)
{
    enum { PAGES = 8, PAGE = 4096 };
    (void)state;
    for (uint64_t apart = 20; apart <= 1000; apart += 245) {
        struct run *run = run_new((uint64_t)PAGES * PAGE);
        run_to(run, 500);
        unsigned char *old = malloc(run->ring.bytes);
        assert_non_null(old);
        memcpy(old, run->intact, run->ring.bytes);
        run_to(run, 500 + apart);
        for (unsigned mixture = 0; mixture < 1u << PAGES; mixture++) {
            for (unsigned page = 0; page < PAGES; page++)
                if (mixture >> page & 1u)
                    memcpy(test_ring_data(&run->ring) + (size_t)page * PAGE,
                           old + RING_HEADER_BYTES + (size_t)page * PAGE, PAGE);
            check(run, "mixture", mixture);
            restore(run);
        }
        free(old);
        run_free(run);
    }
}

/* The header's positions are of any moment, or nonsense: what is found does not depend on them. */
static void does_not_believe_the_positions(void **state)
{
    struct run *run = run_new(4096);
    uint64_t random = 11;
    struct ring_scan expected, scan;
    (void)state;
    run_to(run, 100);
    assert_int_equal(ring_scan(run->ring.memory, run->ring.bytes, NULL, NULL, &expected), 0);
    for (int i = 0; i < 2000; i++) {
        uint64_t mask = i % 2 ? 0xffff : UINT64_MAX;
        bytes_put_u64(run->ring.memory + RING_READ, unit_random(&random) & mask);
        bytes_put_u64(run->ring.memory + RING_WRITE, unit_random(&random) & mask);
        bytes_put_u64(run->ring.memory + RING_APPLIED, unit_random(&random));
        assert_int_equal(ring_scan(run->ring.memory, run->ring.bytes, NULL, NULL, &scan), 0);
        assert_int_equal(scan.records, expected.records);
        assert_int_equal(scan.oldest, expected.oldest);
        assert_int_equal(scan.end, expected.end);
        assert_int_equal(scan.end_sequence, expected.end_sequence);
    }
    run_free(run);
}

static void counts_what_is_missing(void **state)
{
    struct run *run = run_new(8192);
    struct ring_scan scan;
    (void)state;
    run_to(run, 40);
    assert_int_equal(ring_read_position(run->ring.memory), 0);
    static const struct {
        uint64_t from, to, damaged; /* records that are gone; what must be said */
    } cases[] = {{5, 6, 1},   {5, 15, 10}, {0, 3, 3}, {0, 1, 1},
                 {39, 40, 1}, {20, 40, 1}, {0, 40, 1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (uint64_t n = cases[i].from; n < cases[i].to; n++)
            test_ring_data(&run->ring)[run->records[n].position] ^= 1;
        assert_int_equal(ring_scan(run->ring.memory, run->ring.bytes, NULL, NULL, &scan), 0);
        require(scan.damaged == cases[i].damaged, "case %zu: %llu", i,
                (unsigned long long)scan.damaged);
        require(scan.records == 40 - (cases[i].to - cases[i].from), "case %zu", i);
        restore(run);
    }
    run_free(run);
}

static int stop_at_the_third(void *user, const struct record *record)
{
    uint64_t *n = user;
    (void)record;
    return ++*n == 3 ? 42 : 0;
}

static void stops_where_it_is_told(void **state)
{
    struct run *run = run_new(4096);
    struct ring_scan scan;
    uint64_t n = 0;
    (void)state;
    run_to(run, 20);
    assert_int_equal(ring_scan(run->ring.memory, run->ring.bytes, stop_at_the_third, &n, &scan),
                     42);
    assert_int_equal(n, 3);
    assert_int_equal(scan.records, 3);
    assert_int_equal(scan.end, run->records[2].position + run->records[2].bytes);
    assert_int_equal(ring_scan(run->ring.memory, run->ring.bytes, NULL, NULL, NULL), 0);
    run->ring.memory[40] ^= 1;
    assert_int_equal(ring_scan(run->ring.memory, run->ring.bytes, NULL, NULL, &scan), -1);
    assert_int_equal(scan.records, 0);
    assert_int_equal(ring_scan(run->ring.memory, 100, NULL, NULL, NULL), -1);
    run_free(run);
}

/* A record that somebody put into another's correlation data is not a record while the outer one is
 * whole: even where he knew the ring's id and the position that it would get. */
static void does_not_take_data_for_records(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    unsigned char inner[64] = {0};
    struct record forged = {.position = 48, .sequence = 1, .article = "forged", .article_bytes = 6};
    struct record outer = {
        .article = "a/article", .article_bytes = 8, .correlation = inner, .correlation_bytes = 64};
    struct ring_scan scan;
    (void)state;
    assert_int_equal(record_bytes(&forged), 48);
    record_write(&forged, RING_ID, inner);
    assert_int_equal(ring_producer_append(&producer, &outer), 0);
    struct record taken;
    assert_int_equal(record_read(test_ring_data(&ring) + 48, 64, 48, RING_ID, &taken), 48);
    assert_int_equal(ring_scan(ring.memory, ring.bytes, NULL, NULL, &scan), 0);
    assert_int_equal(scan.records, 1);
    assert_int_equal(scan.end, 112);
    assert_int_equal(scan.damaged, 0);
    test_ring_free(&ring);
}

/* Sequences that go back where positions rise cannot both be true: the later one is left out. */
static void drops_a_sequence_that_goes_back(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer = test_ring_producer(&ring);
    struct test_ring_text text;
    struct ring_scan scan;
    (void)state;
    for (uint64_t n = 0; n < 10; n++) {
        struct record record = test_ring_plain(n, &text);
        ring_producer_append(&producer, &record);
    }
    struct record wrong = test_ring_plain(5, &text);
    wrong.position = 320;
    wrong.sequence = 4;
    record_write(&wrong, RING_ID, test_ring_data(&ring) + 320);
    assert_int_equal(ring_scan(ring.memory, ring.bytes, NULL, NULL, &scan), 0);
    assert_int_equal(scan.records, 9);
    assert_int_equal(scan.damaged, 2);
    test_ring_free(&ring);
}

static void finds_nothing_in_noise(void **state)
{
    uint64_t random = 5;
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct test_ring ring = test_ring_new(8192);
        struct ring_scan scan;
        for (uint64_t at = 0; at < ring.capacity; at += 8)
            bytes_put_u64(test_ring_data(&ring) + at, unit_random(&random));
        /* Positions as they would be, so that more than one check is needed. */
        for (uint64_t at = 0; at < ring.capacity && i % 2; at += 16) {
            bytes_put_u64(test_ring_data(&ring) + at + 8, at);
            bytes_put_u16(test_ring_data(&ring) + at + 4, 64);
        }
        assert_int_equal(ring_scan(ring.memory, ring.bytes, NULL, NULL, &scan), 0);
        assert_int_equal(scan.records, 0);
        test_ring_free(&ring);
    }
}

/* A ring that has run for years: positions beyond 2^40. */
static void knows_large_positions(void **state)
{
    struct run *run = run_new(4096);
    uint64_t base = (1ull << 44) + 16 * 5;
    struct ring_scan scan;
    (void)state;
    run->producer.write = base;
    run->producer.read_seen = base;
    bytes_put_u64(run->ring.memory + RING_READ, base);
    bytes_put_u64(run->ring.memory + RING_WRITE, base);
    run->consumer = test_ring_consumer(&run->ring);
    run_to(run, 150);
    check(run, "large", 0);
    assert_int_equal(ring_scan(run->ring.memory, run->ring.bytes, NULL, NULL, &scan), 0);
    assert_int_equal(scan.damaged, 0);
    assert_int_equal(scan.end, run->producer.write);
    struct ring_producer again = test_ring_producer(&run->ring);
    assert_int_equal(again.sequence, 150);
    run_free(run);
}

/* Records whose checksum fits and which no producer can have written: at a position that nobody
 * reaches, or with more records before them than there is room for. They are none. */
static void impossible_records_are_none(void **state)
{
    static const struct {
        uint64_t position, sequence;
    } wrong[] = {{UINT64_MAX - 63, 0}, {(1ull << 62) + 64, 7}, {64, UINT64_MAX}, {64, 2}};
    struct test_ring_text text;
    struct ring_scan scan;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct test_ring ring = test_ring_new(4096);
        struct ring_producer producer = test_ring_producer(&ring);
        struct record record = test_ring_plain(0, &text);
        assert_int_equal(ring_producer_append(&producer, &record), 0);
        record = test_ring_plain(1, &text);
        record.position = wrong[i].position;
        record.sequence = wrong[i].sequence;
        record_write(&record, RING_ID, test_ring_data(&ring) + record.position % ring.capacity);
        bytes_put_u64(ring.memory + RING_WRITE, 128);
        assert_int_equal(ring_scan(ring.memory, ring.bytes, NULL, NULL, &scan), 0);
        require(scan.records == 1 && scan.end == 64 && scan.end_sequence == 1, "case %zu", i);
        require(scan.damaged == 1, "case %zu: %llu damaged", i, (unsigned long long)scan.damaged);
        assert_int_equal(ring_producer_open(&producer, ring.memory, ring.bytes, NULL, 0), -1);
        test_ring_free(&ring);
    }
}

/* Nor does a header's position beyond those let anything be opened. */
static void impossible_positions_are_refused(void **state)
{
    struct test_ring ring = test_ring_new(4096);
    struct ring_producer producer;
    struct ring_consumer consumer;
    (void)state;
    bytes_put_u64(ring.memory + RING_WRITE, UINT64_MAX - 63);
    bytes_put_u64(ring.memory + RING_READ, UINT64_MAX - 63);
    assert_int_equal(ring_producer_open(&producer, ring.memory, ring.bytes, NULL, 0), -1);
    assert_int_equal(ring_consumer_open(&consumer, ring.memory, ring.bytes, NULL, 0), -1);
    test_ring_free(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_all_of_an_intact_ring),
        cmocka_unit_test(survives_a_cut_at_every_byte),
        cmocka_unit_test(survives_a_hole_at_every_byte),
        cmocka_unit_test(survives_a_flip_of_every_bit),
        cmocka_unit_test(survives_every_mixture_of_pages),
        cmocka_unit_test(does_not_believe_the_positions),
        cmocka_unit_test(counts_what_is_missing),
        cmocka_unit_test(stops_where_it_is_told),
        cmocka_unit_test(does_not_take_data_for_records),
        cmocka_unit_test(drops_a_sequence_that_goes_back),
        cmocka_unit_test(finds_nothing_in_noise),
        cmocka_unit_test(knows_large_positions),
        cmocka_unit_test(impossible_records_are_none),
        cmocka_unit_test(impossible_positions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

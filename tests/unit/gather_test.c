#include "unit.h"

#include "core/gather.h"

#define NOW_MS 86400000 /* a multiple of every wait */
#define MIN_MS 8
#define MAX_MS 40

#define LEARNS_MS 1000

/* Other shards make many calls. */
static struct gather_load busy(uint64_t now_ms)
{
    return (struct gather_load){.recent = 1e9, .called_ms = now_ms};
}

/* `pieces` come every `every_ms` for a while, and each call takes what has come. Returns the pieces
 * a call, and the longest that one waited, once the rate is known. */
static double run(unsigned every_ms, size_t pieces, uint64_t *longest_ms)
{
    struct gather gather;
    struct gather_load load;
    size_t waiting = 0, calls = 0, took = 0;
    uint64_t first_ms = 0;
    *longest_ms = 0;
    gather_init(&gather, &load, MIN_MS, MAX_MS);
    for (uint64_t now = NOW_MS; now < NOW_MS + 10000; now++) {
        load = busy(now);
        if (now % every_ms == 0) {
            if (waiting == 0)
                first_ms = now;
            waiting += pieces;
        }
        if (waiting == 0)
            continue;
        gather_notice(&gather, now);
        if (gather_rest_ms(&gather, now) > 0)
            continue;
        bool counts = now >= NOW_MS + LEARNS_MS;
        if (counts && now - first_ms > *longest_ms)
            *longest_ms = now - first_ms;
        gather_call(&gather, now);
        gather_took(&gather, waiting);
        took += counts ? waiting : 0;
        waiting = 0;
        calls += counts;
    }
    return (double)took / (double)calls;
}

static void takes_the_first_at_once(void **state)
{
    struct gather gather;
    struct gather_load load = busy(NOW_MS + 360);
    (void)state;
    gather_init(&gather, &load, MIN_MS, MAX_MS);
    gather_notice(&gather, 0);
    assert_int_equal(gather_rest_ms(&gather, 0), 0);
    gather_call(&gather, 0);
    gather_took(&gather, 1);
    gather_notice(&gather, 1);
    assert_int_equal(gather_rest_ms(&gather, 1), MIN_MS - 1);
    assert_int_equal(gather_rest_ms(&gather, MIN_MS), 0);
}

static void delays_nobody_where_pieces_are_rare(void **state)
{
    uint64_t longest_ms;
    (void)state;
    run(500, 1, &longest_ms);
    assert_int_equal(longest_ms, 0);
    run(200, 1, &longest_ms);
    assert_int_equal(longest_ms, 0);
}

static void gathers_longer_where_calls_are_small(void **state)
{
    uint64_t longest_ms;
    (void)state;
    assert_true(run(10, 1, &longest_ms) >= 3.9); /* 94 a second, as in 64 shards at 6,000 */
    assert_true(longest_ms <= MAX_MS);
    assert_true(run(1, 1, &longest_ms) >= GATHER_TARGET);
    assert_true(longest_ms <= MAX_MS / 2);
}

static void gathers_no_longer_where_calls_are_large(void **state)
{
    uint64_t longest_ms;
    (void)state;
    assert_true(run(1, 4, &longest_ms) >= GATHER_TARGET);
    assert_true(longest_ms <= MIN_MS);
}

static void is_quick_again_after_a_pause(void **state)
{
    struct gather gather;
    struct gather_load load = busy(NOW_MS + 360);
    (void)state;
    gather_init(&gather, &load, MIN_MS, MAX_MS);
    for (uint64_t now = NOW_MS; now < NOW_MS + 400; now += MAX_MS) {
        gather_call(&gather, now);
        gather_took(&gather, 4);
    }
    uint64_t last = NOW_MS + 360;
    gather_notice(&gather, last + 1);
    assert_int_equal(gather_rest_ms(&gather, last + 1), MAX_MS - 1);
    assert_int_equal(gather_rest_ms(&gather, last + 200), 0);
}

/* A few calls a second cost Redis next to nothing. */
static void gathers_no_longer_where_calls_are_few(void **state)
{
    struct gather gather;
    struct gather_load load = {0};
    (void)state;
    gather_init(&gather, &load, MIN_MS, MAX_MS);
    for (uint64_t now = NOW_MS; now < NOW_MS + 4000; now += 10) {
        gather_call(&gather, now);
        gather_took(&gather, 1);
    }
    gather_notice(&gather, NOW_MS + 4000);
    assert_true(gather_rest_ms(&gather, NOW_MS + 4000) <= MIN_MS);
    for (uint64_t now = NOW_MS + 4000; now < NOW_MS + 6000; now += 2) {
        gather_call(&gather, now);
        gather_took(&gather, 1);
    }
    gather_notice(&gather, NOW_MS + 6000);
    assert_true(gather_rest_ms(&gather, NOW_MS + 6000) > MIN_MS);
}

/* Calls of several shards fall on the same moments, whenever their pieces came. */
static void calls_meet(void **state)
{
    struct gather a, b;
    struct gather_load load = busy(NOW_MS + 30);
    (void)state;
    gather_init(&a, &load, MIN_MS, MAX_MS);
    gather_init(&b, &load, MIN_MS, MAX_MS);
    gather_call(&a, NOW_MS + 3);
    gather_call(&b, NOW_MS + 21);
    gather_took(&a, 10);
    gather_took(&b, 10);
    gather_notice(&a, NOW_MS + 15);
    gather_notice(&b, NOW_MS + 30);
    assert_int_equal(gather_rest_ms(&a, NOW_MS + 30), 10);
    assert_int_equal(gather_rest_ms(&b, NOW_MS + 30), 10);
}

static void a_clock_that_goes_back_is_harmless(void **state)
{
    struct gather gather;
    struct gather_load load = busy(NOW_MS + 360);
    (void)state;
    gather_init(&gather, &load, MIN_MS, MAX_MS);
    gather_call(&gather, NOW_MS);
    gather_took(&gather, 100);
    gather_notice(&gather, NOW_MS - 5);
    assert_true(gather_rest_ms(&gather, NOW_MS - 5) <= MAX_MS + 5);
    gather_call(&gather, NOW_MS - 5);
    assert_true(gather.recent <= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_first_at_once),
        cmocka_unit_test(delays_nobody_where_pieces_are_rare),
        cmocka_unit_test(gathers_longer_where_calls_are_small),
        cmocka_unit_test(gathers_no_longer_where_calls_are_large),
        cmocka_unit_test(is_quick_again_after_a_pause),
        cmocka_unit_test(gathers_no_longer_where_calls_are_few),
        cmocka_unit_test(calls_meet),
        cmocka_unit_test(a_clock_that_goes_back_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

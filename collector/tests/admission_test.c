#include "unit.h"

#include "admission.h"

static struct admission good(void)
{
    return (struct admission){
        .spool = true, .producer = true, .joined = true, .store_why = "", .rings = 8};
}

static void expect(struct admission edge, const char *why)
{
    char found[128];
    memset(found, 'x', sizeof found);
    admission_judge(&edge, found, sizeof found);
    assert_string_equal(found, why);
}

static void test_admits(void **state)
{
    (void)state;
    expect(good(), "");
    struct admission away = good();
    away.store_why = "redis: away"; /* it had been accepted before */
    expect(away, "");
}

static void test_each_condition(void **state)
{
    (void)state;
    struct admission edge = good();
    edge.spool = false;
    expect(edge, "spool: not open");
    edge = good();
    edge.producer = false;
    expect(edge, "broker: away, nobody writes the spool");
    edge = good();
    edge.clock_bad = true;
    edge.clock_skew_ms = -3120;
    expect(edge, "clock: -3120 ms from Redis's");
    edge = good();
    edge.joined = false;
    expect(edge, "store: none has accepted this edge yet");
    edge.store_why = "store: of 4 shards, but the spool has 8";
    expect(edge, "store: of 4 shards, but the spool has 8");
}

static void test_full_rings(void **state)
{
    (void)state;
    struct admission edge = good();
    edge.full = 3;
    expect(edge, "");
    edge.full = 4;
    expect(edge, "spool: 4 of 8 rings are full");
    edge.rings = edge.full = 1;
    expect(edge, "spool: 1 of 1 rings are full");
    edge.rings = edge.full = 0; /* none opened yet */
    expect(edge, "");
}

static void test_the_first_reason_is_told(void **state)
{
    (void)state;
    struct admission edge = good();
    edge.producer = edge.joined = false;
    edge.clock_bad = true;
    expect(edge, "broker: away, nobody writes the spool");
    char small[8];
    admission_judge(&edge, small, sizeof small);
    assert_string_equal(small, "broker:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admits),
        cmocka_unit_test(test_each_condition),
        cmocka_unit_test(test_full_rings),
        cmocka_unit_test(test_the_first_reason_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

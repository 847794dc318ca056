#include "unit.h"

#include "expiry.h"

#define MANY 1000

static struct expiry expiries[MANY];

static void gives_the_first_first(void **state)
{
    struct expiry_heap heap = {0};
    uint64_t last = 0;
    (void)state;
    assert_null(expiry_first(&heap));
    for (int i = 0; i < MANY; i++) {
        expiries[i] = (struct expiry){.due_s = (uint64_t)(i * 7919 % MANY / 3)};
        assert_true(expiry_add(&heap, &expiries[i]));
    }
    for (int i = 0; i < MANY; i++) {
        struct expiry *first = expiry_first(&heap);
        assert_true(first->due_s >= last);
        last = first->due_s;
        expiry_remove(&heap, first);
        assert_int_equal(first->place, 0);
        expiry_remove(&heap, first);
    }
    assert_null(expiry_first(&heap));
    expiry_heap_fini(&heap);
}

/* Against a plain list: adds and takes out at random, the first is always the first. */
static void agrees_with_a_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct expiry_heap heap = {0};
        uint64_t random = seed;
        memset(expiries, 0, sizeof expiries);
        for (int step = 0; step < 3000; step++) {
            struct expiry *one = &expiries[unit_random(&random) % 100];
            if (one->place == 0) {
                one->due_s = unit_random(&random) % 50;
                assert_true(expiry_add(&heap, one));
            } else {
                expiry_remove(&heap, one);
            }
            uint64_t least = UINT64_MAX;
            for (int i = 0; i < 100; i++)
                if (expiries[i].place != 0 && expiries[i].due_s < least)
                    least = expiries[i].due_s;
            const struct expiry *first = expiry_first(&heap);
            require(first == NULL ? least == UINT64_MAX : first->due_s == least, "seed %u, step %d",
                    (unsigned)seed, step);
        }
        expiry_heap_fini(&heap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_first_first),
        cmocka_unit_test(agrees_with_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "core/slots.h"

static struct slots *slots;

static int end(void **state)
{
    (void)state;
    slots_free(slots);
    slots = NULL;
    return 0;
}

static void forgets_the_stalest(void **state)
{
    bool used;
    (void)state;
    slots = slots_new(3, 12345);
    assert_non_null(slots);
    (void)slots_stalest(slots, &used);
    assert_false(used);
    uint32_t one = slots_add(slots, 1), two = slots_add(slots, 2), three = slots_add(slots, 3);
    assert_int_equal(slots_count(slots), 3);
    assert_int_equal(slots_stalest(slots, &used), one);
    assert_true(used);
    slots_touch(slots, one);
    assert_int_equal(slots_stalest(slots, &used), two);
    assert_int_equal(slots_add(slots, 4), two);
    assert_int_equal(slots_find(slots, 2), SLOTS_NONE);
    assert_int_equal(slots_find(slots, 4), two);
    assert_int_equal(slots_find(slots, 1), one);
    assert_int_equal(slots_find(slots, 3), three);
    assert_int_equal(slots_count(slots), 3);
    /* A free one is given before any is forgotten. */
    slots_remove(slots, one);
    assert_int_equal(slots_find(slots, 1), SLOTS_NONE);
    assert_int_equal(slots_count(slots), 2);
    assert_int_equal(slots_add(slots, 5), one);
    slots_place(slots, three, 6);
    assert_int_equal(slots_find(slots, 3), SLOTS_NONE);
    assert_int_equal(slots_find(slots, 6), three);
    assert_int_equal(slots_stalest(slots, &used), two);
}

static void is_one_slot(void **state)
{
    (void)state;
    slots = slots_new(1, 7);
    assert_int_equal(slots_add(slots, 0), 0);
    slots_touch(slots, 0);
    assert_int_equal(slots_add(slots, UINT64_MAX), 0);
    assert_int_equal(slots_find(slots, 0), SLOTS_NONE);
    assert_int_equal(slots_find(slots, UINT64_MAX), 0);
    slots_remove(slots, 0);
    slots_remove(slots, 0);
    assert_int_equal(slots_count(slots), 0);
}

/* A table of the same behaviour, too simple to be wrong: keys in the order of their use. */
#define MODEL_MAX 37
static struct model {
    uint64_t key;
    uint32_t slot;
} model[MODEL_MAX];
static uint32_t model_n;

static uint32_t model_find(uint64_t key)
{
    uint32_t at = 0;
    while (at < model_n && model[at].key != key)
        at++;
    return at;
}

static void model_remove(uint32_t at)
{
    memmove(&model[at], &model[at + 1], (MODEL_MAX - 1 - at) * sizeof model[0]);
    model_n--;
}

static void model_use(uint64_t key, uint32_t slot)
{
    model[model_n++] = (struct model){key, slot};
}

static void does_what_its_model_does(void **state)
{
    uint64_t seed = 20260101;
    (void)state;
    slots = slots_new(MODEL_MAX, unit_random(&seed));
    model_n = 0;
    for (int step = 0; step < 200000; step++) {
        uint64_t key = unit_random(&seed) % 90;
        uint32_t at = model_find(key), slot = slots_find(slots, key);
        require((slot == SLOTS_NONE) == (at == model_n), "step %d", step);
        if (slot == SLOTS_NONE) {
            uint64_t stalest = model_n == MODEL_MAX ? model[0].key : UINT64_MAX;
            slot = slots_add(slots, key);
            if (stalest != UINT64_MAX) {
                require(slot == model[0].slot, "step %d", step);
                model_remove(0);
            }
            model_use(key, slot);
        } else if (unit_random(&seed) % 8 == 0) {
            slots_remove(slots, slot);
            model_remove(at);
        } else {
            require(slot == model[at].slot, "step %d", step);
            slots_touch(slots, slot);
            model_remove(at);
            model_use(key, slot);
        }
        require(slots_count(slots) == model_n, "step %d", step);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(forgets_the_stalest, end),
        cmocka_unit_test_teardown(is_one_slot, end),
        cmocka_unit_test_teardown(does_what_its_model_does, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

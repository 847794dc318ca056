#include "unit.h"

#include "core/heap.h"

#define MANY 1000
#define SOME 100

static struct heap_node nodes[MANY];

static void gives_the_first_first(void **state)
{
    struct heap heap = {0};
    uint64_t last = 0;
    (void)state;
    assert_null(heap_first(&heap));
    for (int i = 0; i < MANY; i++) {
        nodes[i] = (struct heap_node){.due = (uint64_t)(i * 7919 % MANY / 3)};
        assert_true(heap_add(&heap, &nodes[i]));
    }
    for (int i = 0; i < MANY; i++) {
        struct heap_node *first = heap_first(&heap);
        assert_true(first->due >= last);
        last = first->due;
        heap_remove(&heap, first);
        assert_int_equal(first->place, 0);
        heap_remove(&heap, first);
    }
    assert_null(heap_first(&heap));
    heap_fini(&heap);
}

/* The times of those that are in the heap, in order. */
struct sorted {
    uint64_t due[SOME];
    size_t n;
};

static void sorted_add(struct sorted *sorted, uint64_t due)
{
    size_t i = sorted->n++;
    for (; i > 0 && sorted->due[i - 1] > due; i--)
        sorted->due[i] = sorted->due[i - 1];
    sorted->due[i] = due;
}

static void sorted_remove(struct sorted *sorted, uint64_t due)
{
    size_t i = 0;
    while (sorted->due[i] != due)
        i++;
    for (sorted->n--; i < sorted->n; i++)
        sorted->due[i] = sorted->due[i + 1];
}

/* Takes out what is first or any other, or adds one. */
static void step_at_random(struct heap *heap, struct sorted *sorted, uint64_t *random)
{
    struct heap_node *one = &nodes[unit_random(random) % SOME];
    if (unit_random(random) % 4 == 0 && heap_first(heap) != NULL)
        one = heap_first(heap);
    if (one->place == 0) {
        one->due = unit_random(random) % 50;
        assert_true(heap_add(heap, one));
        sorted_add(sorted, one->due);
    } else {
        heap_remove(heap, one);
        sorted_remove(sorted, one->due);
    }
}

static void agrees_with_a_sorted_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct heap heap = {0};
        struct sorted sorted = {0};
        uint64_t random = seed;
        memset(nodes, 0, sizeof nodes);
        for (int step = 0; step < 3000; step++) {
            step_at_random(&heap, &sorted, &random);
            const struct heap_node *first = heap_first(&heap);
            require(heap.n == sorted.n && (first == NULL) == (sorted.n == 0) &&
                        (first == NULL || first->due == sorted.due[0]),
                    "seed %u, step %d", (unsigned)seed, step);
        }
        for (size_t i = 0; i < sorted.n; i++) {
            struct heap_node *first = heap_first(&heap);
            require(first != NULL && first->due == sorted.due[i], "seed %u, %zu at the end",
                    (unsigned)seed, i);
            heap_remove(&heap, first);
        }
        assert_null(heap_first(&heap));
        heap_fini(&heap);
    }
}

/* What was reserved is there: nothing is moved, so nothing is allocated, until it is used up. */
static void keeps_what_was_reserved(void **state)
{
    struct heap heap = {0};
    (void)state;
    assert_true(heap_reserve(&heap, MANY));
    struct heap_node **reserved = heap.node;
    size_t room = heap.room;
    assert_true(room >= MANY);
    for (int i = 0; i < MANY; i++) {
        nodes[i] = (struct heap_node){.due = (uint64_t)(MANY - i)};
        assert_true(heap_add(&heap, &nodes[i]));
    }
    assert_true(heap_reserve(&heap, 1));
    assert_ptr_equal(heap.node, reserved);
    assert_int_equal(heap.room, room);
    assert_ptr_equal(heap_first(&heap), &nodes[MANY - 1]);
    heap_fini(&heap);
    assert_int_equal(heap.room, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_first_first),
        cmocka_unit_test(agrees_with_a_sorted_list),
        cmocka_unit_test(keeps_what_was_reserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

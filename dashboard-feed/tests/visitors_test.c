#include "visitors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct visitors visitors;

/* The connections of a test, in the order in which they enter. */
static struct visitors_connection connections[300];
static size_t connections_n;

static struct visitors_connection *enter_as(unsigned char last, bool exempt)
{
    struct visitors_connection *one = &connections[connections_n++];
    assert_true(connections_n <= sizeof connections / sizeof connections[0]);
    *one = (struct visitors_connection){0};
    assert_true(visitors_enter(&visitors, one, last, exempt));
    assert_non_null(one->visitor);
    return one;
}

static struct visitor *enter(unsigned char last)
{
    return enter_as(last, false)->visitor;
}

static void all_leave(void)
{
    for (size_t i = 0; i < connections_n; i++)
        if (connections[i].visitor != NULL)
            visitors_leave(&visitors, &connections[i]);
    connections_n = 0;
    assert_null(visitors.first);
    assert_null(visitors.by_key[0]);
    assert_null(visitors.by_key[1]);
    assert_null(visitors_heaviest(&visitors));
}

static void wait_for(struct visitors_request *request, struct visitor *visitor, size_t articles)
{
    *request = (struct visitors_request){.visitor = visitor, .articles = articles};
    visitors_wait(request);
}

static void addresses_take_turns(void **state)
{
    struct visitor *many = enter(1), *one = enter(2);
    struct visitors_request flood[5], honest[2];
    (void)state;
    assert_ptr_not_equal(many, one);
    for (int i = 0; i < 5; i++)
        wait_for(&flood[i], many, 0);
    assert_ptr_equal(visitors_next(&visitors), &flood[0]);
    wait_for(&honest[0], one, 0);
    wait_for(&honest[1], one, 1);
    assert_ptr_equal(visitors_next(&visitors), &honest[0]);
    assert_ptr_equal(visitors_next(&visitors), &flood[1]);
    assert_ptr_equal(visitors_next(&visitors), &honest[1]);
    for (int i = 2; i < 5; i++)
        assert_ptr_equal(visitors_next(&visitors), &flood[i]);
    assert_null(visitors_next(&visitors));
    visitors_looked_up(one, 1);
    all_leave();
}

static void lookups_are_bounded_for_each(void **state)
{
    struct visitor *many = enter(1), *one = enter(2);
    struct visitors_request list[4], page, honest;
    (void)state;
    for (int i = 0; i < 4; i++)
        wait_for(&list[i], many, VISITORS_LOOKUPS_MOST / 3);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(visitors_next(&visitors), &list[i]);
    assert_null(visitors_next(&visitors));
    wait_for(&honest, one, 1);
    assert_ptr_equal(visitors_next(&visitors), &honest);
    wait_for(&page, many, 0); /* health, behind a list that waits for Redis */
    assert_ptr_equal(visitors_next(&visitors), &page);
    assert_null(visitors_next(&visitors));
    visitors_looked_up(many, VISITORS_LOOKUPS_MOST / 3);
    assert_ptr_equal(visitors_next(&visitors), &list[3]);
    visitors_looked_up(many, VISITORS_LOOKUPS_MOST);
    wait_for(&list[0], many, VISITORS_LOOKUPS_MOST + 1); /* alone it may */
    assert_ptr_equal(visitors_next(&visitors), &list[0]);
    all_leave();
}

static void the_heaviest_has_the_most_connections(void **state)
{
    (void)state;
    assert_null(visitors_heaviest(&visitors));
    struct visitors_connection *one = enter_as(1, false), *two = enter_as(2, false);
    struct visitor *first = one->visitor, *second = two->visitor;
    assert_ptr_equal(enter(2), second);
    assert_ptr_equal(visitors_heaviest(&visitors), second);
    struct visitors_connection *more = enter_as(1, false), *most = enter_as(1, false);
    assert_ptr_equal(more->visitor, first);
    assert_ptr_equal(visitors_heaviest(&visitors), first);
    visitors_leave(&visitors, most);
    visitors_leave(&visitors, more);
    assert_ptr_equal(visitors_heaviest(&visitors), second);
    visitors_leave(&visitors, two);
    visitors_leave(&visitors, one);
    assert_ptr_equal(visitors_heaviest(&visitors), second);
    all_leave();
}

static void a_connection_given_up_does_not_count(void **state)
{
    (void)state;
    struct visitors_connection *one = enter_as(1, false), *more = enter_as(1, false);
    struct visitor *first = one->visitor, *second = enter(2);
    assert_ptr_equal(visitors_heaviest(&visitors), first);
    visitors_give_up(&visitors, one);
    visitors_give_up(&visitors, more);
    assert_int_equal(first->connections, 0);
    assert_null(first->first);
    assert_ptr_equal(visitors_heaviest(&visitors), second);
    visitors_leave(&visitors, more);
    assert_ptr_equal(enter(1), first); /* it is there until the last of its connections leaves */
    all_leave();
}

static void beyond_the_bound_visitors_are_equally_heavy(void **state)
{
    struct visitor *many = NULL;
    (void)state;
    for (int i = 0; i < VISITORS_CONNECTIONS_MOST + 3; i++)
        many = enter(1);
    struct visitor *one = enter(2);
    assert_ptr_equal(visitors_heaviest(&visitors), many);
    assert_int_equal(many->connections, VISITORS_CONNECTIONS_MOST + 3);
    for (int i = 0; i < VISITORS_CONNECTIONS_MOST + 2; i++)
        visitors_leave(&visitors, many->first);
    assert_ptr_equal(enter(2), one);
    assert_ptr_equal(visitors_heaviest(&visitors), one);
    all_leave();
}

static void the_longest_idle_connection_is_first(void **state)
{
    (void)state;
    struct visitors_connection *one = enter_as(1, false), *two = enter_as(1, false),
                               *three = enter_as(1, false);
    assert_ptr_equal(one->visitor->first, one);
    visitors_touch(one);
    assert_ptr_equal(one->visitor->first, two);
    visitors_give_up(&visitors, two);
    visitors_touch(two); /* as an answer still goes out */
    assert_ptr_equal(one->visitor->first, three);
    all_leave();
}

static void one_that_rests_has_no_turn(void **state)
{
    struct visitor *tired = enter(1), *one = enter(2);
    struct visitors_request plain, list, honest;
    (void)state;
    wait_for(&plain, tired, 0);
    wait_for(&list, tired, 1);
    wait_for(&honest, one, 0);
    tired->resting = true;
    assert_ptr_equal(visitors_next(&visitors), &honest);
    assert_null(visitors_next(&visitors));
    tired->resting = false;
    assert_ptr_equal(visitors_next(&visitors), &plain);
    assert_ptr_equal(visitors_next(&visitors), &list);
    visitors_looked_up(tired, 1);
    all_leave();
}

static void a_proxy_is_not_its_network(void **state)
{
    struct visitor *network = enter(1);
    struct visitor *proxy = enter_as(1, true)->visitor;
    (void)state;
    assert_ptr_not_equal(proxy, network);
    assert_ptr_equal(enter_as(1, true)->visitor, proxy);
    assert_ptr_equal(enter(1), network);
    all_leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_take_turns),
        cmocka_unit_test(lookups_are_bounded_for_each),
        cmocka_unit_test(a_proxy_is_not_its_network),
        cmocka_unit_test(one_that_rests_has_no_turn),
        cmocka_unit_test(the_heaviest_has_the_most_connections),
        cmocka_unit_test(a_connection_given_up_does_not_count),
        cmocka_unit_test(beyond_the_bound_visitors_are_equally_heavy),
        cmocka_unit_test(the_longest_idle_connection_is_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

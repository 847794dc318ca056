#include "visitors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct visitors visitors;

static struct visitor *enter(unsigned char last)
{
    struct visitor *visitor = visitors_enter(&visitors, last, false);
    assert_non_null(visitor);
    return visitor;
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
    visitors_leave(&visitors, many);
    visitors_leave(&visitors, one);
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
    visitors_leave(&visitors, many);
    visitors_leave(&visitors, one);
}

static void the_heaviest_has_the_most_connections(void **state)
{
    (void)state;
    assert_null(visitors_heaviest(&visitors));
    struct visitor *one = enter(1), *two = enter(2);
    assert_ptr_equal(enter(2), two);
    assert_ptr_equal(visitors_heaviest(&visitors), two);
    assert_ptr_equal(enter(1), one);
    assert_ptr_equal(enter(1), one);
    assert_ptr_equal(visitors_heaviest(&visitors), one);
    visitors_leave(&visitors, one);
    visitors_leave(&visitors, one);
    assert_ptr_equal(visitors_heaviest(&visitors), two);
    visitors_leave(&visitors, one);
    visitors_leave(&visitors, two);
    visitors_leave(&visitors, two);
    assert_null(visitors_heaviest(&visitors));
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
    visitors_leave(&visitors, tired);
    visitors_leave(&visitors, one);
}

static void a_proxy_is_not_its_network(void **state)
{
    struct visitor *network = enter(1);
    struct visitor *proxy = visitors_enter(&visitors, 1, true);
    (void)state;
    assert_non_null(proxy);
    assert_ptr_not_equal(proxy, network);
    assert_ptr_equal(visitors_enter(&visitors, 1, true), proxy);
    visitors_leave(&visitors, proxy);
    visitors_leave(&visitors, proxy);
    visitors_leave(&visitors, network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_take_turns),
        cmocka_unit_test(lookups_are_bounded_for_each),
        cmocka_unit_test(a_proxy_is_not_its_network),
        cmocka_unit_test(one_that_rests_has_no_turn),
        cmocka_unit_test(the_heaviest_has_the_most_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

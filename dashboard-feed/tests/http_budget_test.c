#include "http_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RATE 10
#define FULL ((uint64_t)RATE * HTTP_BUDGET_BURST_S * HTTP_BUDGET_REQUEST)
#define SECOND_NS UINT64_C(1000000000)
#define NOW_NS (100 * SECOND_NS)

static struct http_budget *made(const char *proxies)
{
    struct address_nets nets;
    assert_int_equal(address_nets_parse(&nets, proxies), 0);
    struct http_budget *budget = http_budget_new(RATE, &nets, 7);
    assert_non_null(budget);
    return budget;
}

static void an_address_pays_for_itself_alone(void **state)
{
    struct http_budget *budget = made("");
    (void)state;
    assert_true(http_budget_charge(budget, 1, FULL - 1, NOW_NS));
    assert_true(http_budget_left(budget, 1, NOW_NS));
    assert_false(http_budget_charge(budget, 1, 1, NOW_NS));
    assert_false(http_budget_left(budget, 1, NOW_NS));
    assert_true(http_budget_left(budget, 2, NOW_NS));
    assert_true(http_budget_charge(budget, 2, HTTP_BUDGET_REQUEST, NOW_NS));
    http_budget_free(budget);
}

static void what_was_used_comes_back_at_the_rate(void **state)
{
    struct http_budget *budget = made("");
    (void)state;
    assert_false(http_budget_charge(budget, 1, FULL, NOW_NS));
    for (unsigned i = 0; i < RATE; i++) /* a second's requests */
        assert_int_equal(http_budget_charge(budget, 1, HTTP_BUDGET_REQUEST, NOW_NS + SECOND_NS + 1),
                         i + 1 < RATE);
    http_budget_free(budget);
}

static void a_debt_is_bounded(void **state)
{
    struct http_budget *budget = made("");
    (void)state;
    assert_false(http_budget_charge(budget, 1, 1000 * FULL, NOW_NS));
    assert_false(http_budget_left(budget, 1, NOW_NS + HTTP_BUDGET_BURST_S * SECOND_NS));
    assert_true(http_budget_left(budget, 1, NOW_NS + (HTTP_BUDGET_BURST_S + 1) * SECOND_NS));
    http_budget_free(budget);
}

static void a_list_costs_more_than_a_total(void **state)
{
    (void)state;
    assert_int_equal(http_budget_request(0), HTTP_BUDGET_REQUEST);
    assert_int_equal(http_budget_request(1), HTTP_BUDGET_REQUEST);
    assert_int_equal(http_budget_request(100), HTTP_BUDGET_REQUEST * 5);
}

static void proxies_are_exempt(void **state)
{
    struct http_budget *budget = made("127.0.0.1,10.0.0.0/8");
    struct address address;
    (void)state;
    assert_true(address_parse(&address, "127.0.0.1"));
    assert_true(http_budget_exempts(budget, &address));
    assert_true(address_parse(&address, "10.9.8.7"));
    assert_true(http_budget_exempts(budget, &address));
    assert_true(address_parse(&address, "127.0.0.2"));
    assert_false(http_budget_exempts(budget, &address));
    http_budget_free(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_pays_for_itself_alone),
        cmocka_unit_test(what_was_used_comes_back_at_the_rate),
        cmocka_unit_test(a_debt_is_bounded),
        cmocka_unit_test(a_list_costs_more_than_a_total),
        cmocka_unit_test(proxies_are_exempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Token buckets by address, in the table of core/limit.h, and the prices of what HTTP clients
 * cause. */
#include "http_budget.h"

#include "core/limit.h"

#include <stdlib.h>

struct http_budget {
    struct limit_table *table;
    struct address_nets proxies;
};

struct http_budget *http_budget_new(uint64_t rate, const struct address_nets *proxies,
                                    uint64_t seed)
{
    struct http_budget *budget = calloc(1, sizeof *budget);
    if (budget == NULL)
        return NULL;
    uint64_t tokens = rate * HTTP_BUDGET_REQUEST;
    struct limit_rate limit = limit_rate_of(tokens, LIMIT_SECOND_NS, tokens * HTTP_BUDGET_BURST_S);
    budget->proxies = *proxies;
    budget->table = limit_table_new(HTTP_BUDGET_ADDRESSES, &limit, seed);
    if (budget->table == NULL) {
        free(budget);
        return NULL;
    }
    return budget;
}

void http_budget_free(struct http_budget *budget)
{
    if (budget == NULL)
        return;
    limit_table_free(budget->table);
    free(budget);
}

bool http_budget_exempts(const struct http_budget *budget, const struct address *address)
{
    return address_nets_contain(&budget->proxies, address);
}

uint64_t http_budget_request(size_t articles)
{
    return HTTP_BUDGET_REQUEST + articles * HTTP_BUDGET_REQUEST / HTTP_BUDGET_ARTICLES;
}

bool http_budget_charge(struct http_budget *budget, uint64_t key, uint64_t tokens, uint64_t now_ns)
{
    uint64_t *bucket = limit_table_bucket(budget->table, key);
    limit_table_charge(budget->table, bucket, tokens, now_ns);
    return limit_table_left(budget->table, bucket, now_ns);
}

bool http_budget_left(struct http_budget *budget, uint64_t key, uint64_t now_ns)
{
    return limit_table_left(budget->table, limit_table_bucket(budget->table, key), now_ns);
}

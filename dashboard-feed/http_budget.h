/* What each address may cost the feed's HTTP: a token bucket each, in a bounded table
 * (core/limit.h). A request costs HTTP_BUDGET_REQUEST tokens. Connections, reads and looked-up
 * articles cost the feed time, too, whether or not a request is ever complete, so they have a price
 * in the same tokens. Pure; loop thread. */
#ifndef TALLY_FEED_HTTP_BUDGET_H
#define TALLY_FEED_HTTP_BUDGET_H

#include "core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prices, in tokens. */
#define HTTP_BUDGET_READ 1 /* one, of however many bytes */
#define HTTP_BUDGET_REQUEST 4
#define HTTP_BUDGET_CONNECTION 4
#define HTTP_BUDGET_ARTICLES 25 /* cost as much as a request */

#define HTTP_BUDGET_BURST_S 3 /* a full budget is what the rate gives in this time */
#define HTTP_BUDGET_ADDRESSES 16384

struct http_budget;

/* `rate`: requests a second of an address, 1 to 50,000. `trusted_proxies` are exempt. `seed` as in
 * slots_new. NULL if memory is short. */
struct http_budget *http_budget_new(uint64_t rate, const struct address_nets *proxies,
                                    uint64_t seed);
void http_budget_free(struct http_budget *budget); /* NULL is fine */

/* Whether the address is that of a proxy. */
bool http_budget_exempts(const struct http_budget *budget, const struct address *address);

/* The price of a request that looks up so many articles. */
uint64_t http_budget_request(size_t articles);

/* Charges the address with this address_key(), even where that makes a debt, of a full budget at
 * most. Returns whether something is left. `now_ns` is of a monotonic clock. */
bool http_budget_charge(struct http_budget *budget, uint64_t key, uint64_t tokens, uint64_t now_ns);

/* Whether something is left. */
bool http_budget_left(struct http_budget *budget, uint64_t key, uint64_t now_ns);

#endif

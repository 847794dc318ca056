/* The HTTP answer to a request for totals (INTERFACES.md 6): the body and its tag. In a list each
 * article has its own answer: a total, that it is hidden, or why there is none. Pure; one thread.
 */
#ifndef TALLY_FEED_TOTALS_ANSWER_H
#define TALLY_FEED_TOTALS_ANSWER_H

#include "lookup.h"
#include "route.h"

#define TOTALS_ANSWER_ETAG_BYTES 64

struct totals_answer {
    const struct route_article *asked; /* in this order; what is bad was not looked up */
    size_t asked_n;
    bool list;
    const struct lookup_total *found; /* of what is not bad, in this order */
    const struct kinds *kinds;
    const char *store;
    uint64_t unix_ms;
};

/* NULL on no memory; else to be freed with cJSON_free. */
char *totals_answer_json(const struct totals_answer *answer);

void totals_answer_etag(const struct totals_answer *answer, char etag[TOTALS_ANSWER_ETAG_BYTES]);

#endif

#include "receipt.h"

#include <stdio.h>

#define REFILL_WHOLE_MS ((uint64_t)RECEIPT_BURST * RECEIPT_REFILL_MS)

void receipt_budget_init(struct receipt_budget *budget)
{
    budget->refilled_ms = 0;
    budget->left = RECEIPT_BURST;
}

bool receipt_budget_take(struct receipt_budget *budget, uint64_t unix_ms)
{
    bool forward = unix_ms >= budget->refilled_ms;
    uint64_t apart_ms = forward ? unix_ms - budget->refilled_ms : budget->refilled_ms - unix_ms;

    /* First use, a long pause, or a clock that was set back far: begin anew. */
    if (apart_ms >= REFILL_WHOLE_MS) {
        budget->refilled_ms = unix_ms;
        budget->left = RECEIPT_BURST;
    } else if (forward) {
        uint32_t more = (uint32_t)(apart_ms / RECEIPT_REFILL_MS);
        budget->refilled_ms += (uint64_t)more * RECEIPT_REFILL_MS;
        budget->left = more + budget->left < RECEIPT_BURST ? budget->left + more : RECEIPT_BURST;
    }
    if (budget->left == 0)
        return false;
    budget->left--;
    return true;
}

size_t receipt_refusal(char *out, size_t out_bytes, const char *article, size_t article_bytes,
                       const char *reaction, enum reason reason)
{
    int n = snprintf(out, out_bytes, "{%s%.*s%s%s%s%s\"outcome\":\"refused\",\"reason\":\"%s\"}",
                     article_bytes > 0 ? "\"article\":\"" : "", (int)article_bytes,
                     article_bytes > 0 ? article : "", article_bytes > 0 ? "\"," : "",
                     reaction != NULL ? "\"reaction\":\"" : "", reaction != NULL ? reaction : "",
                     reaction != NULL ? "\"," : "", reason_name(reason));
    return n > 0 && (size_t)n < out_bytes ? (size_t)n : 0;
}

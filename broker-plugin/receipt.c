/* Writes the JSON of a refusal. */
#include "receipt.h"

#include <stdio.h>

const struct limit_rate receipt_rate = {.interval_ns = LIMIT_SECOND_NS / 4, .burst = 16};

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

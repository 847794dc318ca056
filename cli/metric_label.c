/* Finds the metric's line by its name and brace, and the label by its name and quote. */
#include "metric_label.h"

#include <stdbool.h>
#include <string.h>

static const char *sample_of(const char *metrics, const char *metric)
{
    const size_t bytes = strlen(metric);
    for (const char *line = metrics; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, metric, bytes) == 0 && line[bytes] == '{')
            return line + bytes;
    }
    return NULL;
}

int metric_label(const char *metrics, const char *metric, const char *label, char *out,
                 size_t out_bytes)
{
    const size_t label_bytes = strlen(label);
    const char *at = sample_of(metrics, metric);
    if (at == NULL)
        return -1;
    const char *end = at + strcspn(at, "\n");
    /* `at` is at the { or , before a label */
    while (strncmp(at + 1, label, label_bytes) != 0 || at[1 + label_bytes] != '=' ||
           at[2 + label_bytes] != '"') {
        at += 1 + strcspn(at + 1, ",\n");
        if (at >= end)
            return -1;
    }
    at += label_bytes + 3;
    size_t bytes = strcspn(at, "\"\\\n");
    if (at[bytes] != '"' || bytes >= out_bytes)
        return -1;
    memcpy(out, at, bytes);
    out[bytes] = '\0';
    return 0;
}

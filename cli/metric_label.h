/* A label of a metric in Prometheus's text format. Pure; any thread. */
#ifndef TALLY_CLI_METRIC_LABEL_H
#define TALLY_CLI_METRIC_LABEL_H

#include <stddef.h>

/* Copies the label of the metric's first sample. Returns 0, or -1 if it is not there, is longer, or
 * has an escape in it. */
int metric_label(const char *metrics, const char *metric, const char *label, char *out,
                 size_t out_bytes);

#endif

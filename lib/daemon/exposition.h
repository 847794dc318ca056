/* Writes Prometheus text (exposition format 0.0.4): what both daemons' /metrics have in common.
 * Names follow Prometheus's conventions: base units, and _total for counters. Any thread. */
#ifndef TALLY_DAEMON_EXPOSITION_H
#define TALLY_DAEMON_EXPOSITION_H

#include "core/histogram.h"

#include <event2/buffer.h>
#include <stdint.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8" /* as a Content-Type */

enum exposition_type { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_HISTOGRAM };

/* The two lines before a metric's samples. A caller that writes samples with labels itself calls
 * this first. */
void exposition_head(struct evbuffer *out, const char *name, enum exposition_type type,
                     const char *help);

/* Metrics without labels. */
void exposition_counter(struct evbuffer *out, const char *name, uint64_t value, const char *help);
void exposition_gauge(struct evbuffer *out, const char *name, double value, const char *help);
void exposition_histogram(struct evbuffer *out, const char *name, const struct histogram *histogram,
                          const char *help);

/* tally_build_info of this program and the process_… metrics of this process, which started at that
 * time (since 1970). */
void exposition_process(struct evbuffer *out, const char *program, double started_at_s);

#endif

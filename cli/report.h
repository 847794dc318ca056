/* What an audit found, as text or as JSON. Bounded: differences beyond REPORT_LISTED_MAX are only
 * counted. One thread. */
#ifndef TALLY_CLI_REPORT_H
#define TALLY_CLI_REPORT_H

#include "audit/audit_compare.h"
#include "books.h"
#include "store_view.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_LISTED_MAX 1000
#define REPORT_SUBJECT_BYTES 208

struct report_line {
    enum audit_link link;
    char subject[REPORT_SUBJECT_BYTES]; /* an article, a ring's file, or "edge" */
    char what[AUDIT_WHAT_BYTES];
    int64_t expected, found;
};

struct report {
    uint64_t at_ms; /* since 1970 */
    uint64_t store;
    struct books books;
    uint64_t audited, differing, unchecked; /* articles */
    uint64_t differences;
    size_t listed;
    struct report_line *line; /* REPORT_LISTED_MAX of them */
    uint64_t failures;        /* things that could not be checked, articles included … */
    char failure[256];        /* … and the first of them */
    struct store_view_stats stats;
};

/* -1 on no memory. */
int report_init(struct report *report);
void report_fini(struct report *report);

void report_differs(struct report *report, enum audit_link link, const char *subject,
                    const char *what, int64_t expected, int64_t found);

/* Something could not be checked. */
void report_fails(struct report *report, const char *what, const char *why);

/* 0 consistent, 1 differs, 2 could not check. */
int report_status(const struct report *report);

void report_text(const struct report *report, FILE *out);
void report_json(const struct report *report, FILE *out);

#endif

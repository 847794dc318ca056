/* What a check reports, as text. Include after unit.h. */
#ifndef TALLY_CLI_TESTS_DOCTOR_SAID_H
#define TALLY_CLI_TESTS_DOCTOR_SAID_H

#include "doctor_report.h"

static char *said;
static size_t said_bytes;
static FILE *said_out;

static inline struct doctor_report *said_begin(void)
{
    free(said);
    said = NULL;
    said_out = open_memstream(&said, &said_bytes);
    assert_non_null(said_out);
    struct doctor_report *report = doctor_report_new(said_out, false);
    assert_non_null(report);
    return report;
}

static inline void said_end(struct doctor_report *report)
{
    doctor_report_free(report);
    assert_int_equal(fclose(said_out), 0);
}

/* Whether what was said begins with these words, and is one line. */
#define SAID(words)                                                                                \
    do {                                                                                           \
        require(strncmp(said, words, strlen(words)) == 0, "said %s", said);                        \
        require(strchr(said, '\n') == said + strlen(said) - 1, "said %s", said);                   \
    } while (0)

#endif

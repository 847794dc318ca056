/* The forms in which `tally watch` shows a view: one JSON object, lines of text, and these on a
 * terminal. Pure; one thread. */
#ifndef TALLY_CLI_WATCH_PRINT_H
#define TALLY_CLI_WATCH_PRINT_H

#include "hot.h"
#include "watch_view.h"

#include <stdio.h>

struct watch_print {
    const struct watch_view *view;
    uint64_t now_ms;   /* of the view's clock */
    uint64_t unix_ms;  /* since 1970 */
    const char *where; /* the broker, such as "127.0.0.1:1883" */
    const char *why;   /* it is away; NULL: connected */
    const struct hot_row *hot;
    size_t hot_n;
    bool totals; /* whether totals are watched: else published and hottest are unknown */
};

/* One line: an object (docs/operating.md). What is not known is null. */
void watch_print_json(const struct watch_print *print, FILE *out);

/* Some 15 to 40 lines. */
void watch_print_text(const struct watch_print *print, FILE *out);

/* Draws a text over the former one: cuts lines before the last of `columns`, and leaves out those
 * beyond `rows`. */
void watch_print_paint(const char *text, unsigned columns, unsigned rows, FILE *out);

#endif

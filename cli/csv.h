/* A line of CSV per RFC 4180, except that no field holds a line break. Pure; any thread. */
#ifndef TALLY_CLI_CSV_H
#define TALLY_CLI_CSV_H

#include <stddef.h>
#include <stdio.h>

struct csv_field {
    const char *text; /* NUL-terminated */
    size_t bytes;
};

/* Splits a line (without its end, with one spare byte behind it) in place. Returns the number of
 * fields, at least 1; or -1 with the reason in *why: an unclosed or misplaced quote, a NUL, or more
 * than `max` fields. */
int csv_split(char *line, size_t bytes, struct csv_field *fields, int max, const char **why);

/* Writes a field, quoted if necessary. */
void csv_write(FILE *out, const char *text);

#endif

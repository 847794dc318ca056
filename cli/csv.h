/* A line of CSV as RFC 4180 says, but that no field holds a line break. Pure; any thread. */
#ifndef TALLY_CLI_CSV_H
#define TALLY_CLI_CSV_H

#include <stddef.h>
#include <stdio.h>

struct csv_field {
    const char *text; /* NUL-terminated */
    size_t bytes;
};

/* Takes a line (without its end, one byte of room behind) apart in place. Returns how many fields
 * there are, 1 at least; or -1 with why in *why: a quote that is not closed or stands where none
 * may, a NUL, or more than `max` fields. */
int csv_split(char *line, size_t bytes, struct csv_field *fields, int max, const char **why);

/* Writes a field, quoted where it must be. */
void csv_write(FILE *out, const char *text);

#endif

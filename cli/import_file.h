/* A file of articles' counts, read completely before any of it is used. One thread. */
#ifndef TALLY_CLI_IMPORT_FILE_H
#define TALLY_CLI_IMPORT_FILE_H

#include "core/error.h"
#include "rows.h"
#include "table.h"

#include <stdio.h>

/* Reads `in` to its end into `table`. Returns 0, or -1 with "line N: …" or another sentence in
 * `error`: an invalid line, one over ROWS_LINE_MAX_BYTES, an empty file, or a file error. */
int import_file_read(FILE *in, enum rows_format format, const struct audit_kinds *kinds,
                     struct table *table, struct error *error);

#endif

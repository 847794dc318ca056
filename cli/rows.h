/* Lines of an export or import (INTERFACES.md 7): an article, or one kind of it. CSV with a header,
 * or one JSON object per line. Pure; any thread. */
#ifndef TALLY_CLI_ROWS_H
#define TALLY_CLI_ROWS_H

#include "audit/audit_compare.h"
#include "core/article.h"
#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define ROWS_LINE_MAX_BYTES 4096
#define ROWS_COUNT_MAX 9007199254740991 /* what every JSON reader holds exactly */
#define ROWS_COLUMNS_MAX (4 + 2 * KIND_MAX)

/* Names of the JSON members, and prefixes of the kinds in the column names. */
#define ROWS_REGISTERS_NAME "registers"
#define ROWS_BASE_NAME "base"

enum rows_format { ROWS_CSV, ROWS_JSONL };

/* --- writing --- */

struct rows_article {
    const char *article;
    uint64_t version;
    int64_t registers[KIND_MAX + 1], base[KIND_MAX + 1]; /* by kind id */
};

/* The header of CSV, nothing for JSON lines. */
void rows_write_header(FILE *out, enum rows_format format, const struct audit_kinds *kinds);
void rows_write(FILE *out, enum rows_format format, const struct audit_kinds *kinds,
                const struct rows_article *row);

/* --- reading --- */

enum rows_column {
    ROWS_ARTICLE,
    ROWS_VERSION,
    ROWS_UPDATED_AT,
    ROWS_TOTAL,
    ROWS_KIND,
    ROWS_COUNT,
    ROWS_REGISTERS,
    ROWS_BASE
};

struct rows_reader {
    enum rows_format format;
    const struct audit_kinds *kinds;
    int columns; /* of CSV, once its header was read */
    bool whole;  /* each line is an article, else a single kind */
    struct {
        enum rows_column is;
        int kind;
    } column[ROWS_COLUMNS_MAX];
};

/* What a line says: counts of all kinds of an article (`whole`), or of `kind`. */
struct rows_line {
    char article[ARTICLE_MAX_BYTES + 1];
    size_t article_bytes;
    bool whole;
    bool registers; /* some were registers at the exporting store */
    int kind;
    int64_t count[KIND_MAX + 1]; /* 0 to ROWS_COUNT_MAX */
};

/* `kinds` are those of the store; the reader keeps the pointer. */
void rows_reader_init(struct rows_reader *reader, enum rows_format format,
                      const struct audit_kinds *kinds);

/* Reads a line without its end (with a spare byte behind it; the line is modified). Returns 1 with
 * its content, 0 for a line without content (a header, an empty line), or -1 with the reason in
 * `error`. */
int rows_read(struct rows_reader *reader, char *line, size_t bytes, struct rows_line *out,
              struct error *error);

#endif

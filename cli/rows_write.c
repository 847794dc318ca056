/* Writes an article as a line of an export: CSV or JSON. */
#include "rows.h"

#include "csv.h"

#include "core/total.h"

#include <inttypes.h>

/* Clamped to the valid range, because stored values may be anything. */
static int64_t sum_of(const struct rows_article *row)
{
    int64_t sum = 0;
    for (int id = 1; id <= KIND_MAX; id++)
        if (__builtin_add_overflow(sum, row->registers[id], &sum) ||
            __builtin_add_overflow(sum, row->base[id], &sum))
            return row->base[id] < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static void write_time(FILE *out, uint64_t version)
{
    char text[TOTAL_TIME_BYTES];
    if (version == 0)
        return; /* never changed */
    total_time(version, text);
    fputs(text, out);
}

static void csv_columns(FILE *out, const struct audit_kinds *kinds, const char *of)
{
    for (int id = 1; id <= KIND_MAX; id++)
        if (kinds->name[id][0] != '\0')
            fprintf(out, ",%s:%s", of, kinds->name[id]);
}

void rows_write_header(FILE *out, enum rows_format format, const struct audit_kinds *kinds)
{
    if (format != ROWS_CSV)
        return;
    fputs("article,version,updated_at,total", out);
    csv_columns(out, kinds, ROWS_REGISTERS_NAME);
    csv_columns(out, kinds, ROWS_BASE_NAME);
    fputs("\r\n", out);
}

static void csv_counts(FILE *out, const struct audit_kinds *kinds, const int64_t *count)
{
    for (int id = 1; id <= KIND_MAX; id++)
        if (kinds->name[id][0] != '\0')
            fprintf(out, ",%" PRId64, count[id]);
}

static void json_counts(FILE *out, const struct audit_kinds *kinds, const char *name,
                        const int64_t *count)
{
    const char *before = "";
    fprintf(out, ",\"%s\":{", name);
    for (int id = 1; id <= KIND_MAX; id++)
        if (kinds->name[id][0] != '\0') {
            fprintf(out, "%s\"%s\":%" PRId64, before, kinds->name[id], count[id]);
            before = ",";
        }
    fputc('}', out);
}

/* An article's id and a kind's name contain no characters that JSON escapes. */
void rows_write(FILE *out, enum rows_format format, const struct audit_kinds *kinds,
                const struct rows_article *row)
{
    if (format == ROWS_CSV) {
        csv_write(out, row->article);
        fprintf(out, ",%" PRIu64 ",", row->version);
        write_time(out, row->version);
        fprintf(out, ",%" PRId64, sum_of(row));
        csv_counts(out, kinds, row->registers);
        csv_counts(out, kinds, row->base);
        fputs("\r\n", out);
        return;
    }
    fprintf(out, "{\"article\":\"%s\",\"version\":%" PRIu64 ",\"updated_at\":\"", row->article,
            row->version);
    write_time(out, row->version);
    fprintf(out, "\",\"total\":%" PRId64, sum_of(row));
    json_counts(out, kinds, ROWS_REGISTERS_NAME, row->registers);
    json_counts(out, kinds, ROWS_BASE_NAME, row->base);
    fputs("}\n", out);
}

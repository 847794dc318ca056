/* Parses a line, CSV or JSON, into an article with its counts. The header decides between the two
 * forms of CSV. */
#include "rows.h"

#include "csv.h"

#include "core/error.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define SHOWN_BYTES 60 /* of the bad text, in an error */

/* --- shared by both --- */

void rows_reader_init(struct rows_reader *reader, enum rows_format format,
                      const struct audit_kinds *kinds)
{
    memset(reader, 0, sizeof *reader);
    reader->format = format;
    reader->kinds = kinds;
}

static int kind_id(const struct audit_kinds *kinds, const char *name)
{
    for (int id = 1; id <= KIND_MAX && *name != '\0'; id++)
        if (strcmp(kinds->name[id], name) == 0)
            return id;
    return 0;
}

static int unknown_kind(const char *name, struct error *error)
{
    return error_set(error, "%.*s is not a kind of the store", SHOWN_BYTES, name);
}

static int take_article(struct rows_line *out, const char *text, size_t bytes, struct error *error)
{
    if (!article_valid(text, bytes))
        return error_set(error, "\"%.*s\" is not an article id", SHOWN_BYTES, text);
    memcpy(out->article, text, bytes);
    out->article[bytes] = '\0';
    out->article_bytes = bytes;
    return 0;
}

static int rows_add(struct rows_line *out, int kind, bool registers, int64_t count,
                    struct error *error)
{
    if (count > ROWS_COUNT_MAX - out->count[kind])
        return error_set(error, "the counts of a kind are over %" PRId64 " together",
                         (int64_t)ROWS_COUNT_MAX);
    out->count[kind] += count;
    out->registers |= registers && count > 0;
    return 0;
}

/* The sum of all kinds of an article. If the line gives another total, it was truncated or changed.
 */
static int check_sum(const struct rows_line *out, int64_t total, struct error *error)
{
    int64_t sum = 0;
    for (int id = 1; id <= KIND_MAX; id++) {
        sum += out->count[id];
        if (sum > ROWS_COUNT_MAX)
            return error_set(error, "its counts are over %" PRId64 " together",
                             (int64_t)ROWS_COUNT_MAX);
    }
    if (total >= 0 && total != sum)
        return error_set(error, "its total is %" PRId64 ", but its counts are %" PRId64 " together",
                         total, sum);
    return 0;
}

/* --- CSV --- */

static int read_column(struct rows_reader *reader, const char *name, struct error *error)
{
    static const struct {
        const char *name;
        enum rows_column is;
    } plain[] = {{"article", ROWS_ARTICLE},
                 {"version", ROWS_VERSION},
                 {"updated_at", ROWS_UPDATED_AT},
                 {"total", ROWS_TOTAL},
                 {"kind", ROWS_KIND},
                 {"count", ROWS_COUNT}},
      by_kind[] = {{ROWS_REGISTERS_NAME ":", ROWS_REGISTERS}, {ROWS_BASE_NAME ":", ROWS_BASE}};
    const int n = reader->columns;
    reader->column[n].kind = 0;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(name, plain[i].name) == 0) {
            reader->column[n].is = plain[i].is;
            goto found;
        }
    for (size_t i = 0; i < sizeof by_kind / sizeof by_kind[0]; i++) {
        size_t bytes = strlen(by_kind[i].name);
        if (strncmp(name, by_kind[i].name, bytes) != 0)
            continue;
        reader->column[n].is = by_kind[i].is;
        reader->column[n].kind = kind_id(reader->kinds, name + bytes);
        if (reader->column[n].kind == 0)
            return unknown_kind(name + bytes, error);
        goto found;
    }
    return error_set(error, "the header's column \"%.*s\" is unknown", SHOWN_BYTES, name);
found:
    for (int i = 0; i < n; i++)
        if (reader->column[i].is == reader->column[n].is &&
            reader->column[i].kind == reader->column[n].kind)
            return error_set(error, "the header's column %.*s is there twice", SHOWN_BYTES, name);
    reader->columns++;
    return 0;
}

static int read_header(struct rows_reader *reader, const struct csv_field *fields, int n,
                       struct error *error)
{
    unsigned has = 0;
    for (int i = 0; i < n; i++) {
        if (read_column(reader, fields[i].text, error) != 0)
            return -1;
        has |= 1u << reader->column[i].is;
    }
    const unsigned single = 1u << ROWS_ARTICLE | 1u << ROWS_KIND | 1u << ROWS_COUNT;
    const unsigned counts = 1u << ROWS_REGISTERS | 1u << ROWS_BASE;
    reader->whole = (has & counts) != 0;
    if (has == single || (reader->whole && (has & single) == 1u << ROWS_ARTICLE))
        return 0;
    return error_set(error, "the header is neither article,kind,count nor that of an export");
}

/* Digits only. Returns 0, or -1. */
static int csv_number(const struct csv_field *field, int64_t *out)
{
    int64_t value = 0;
    for (size_t i = 0; i < field->bytes; i++) {
        if (field->text[i] < '0' || field->text[i] > '9' || value > ROWS_COUNT_MAX / 10)
            return -1;
        value = value * 10 + (field->text[i] - '0');
    }
    *out = value;
    return field->bytes > 0 && value <= ROWS_COUNT_MAX ? 0 : -1;
}

static int csv_value(const struct rows_reader *reader, int i, const struct csv_field *field,
                     struct rows_line *out, int64_t *total, struct error *error)
{
    const enum rows_column is = reader->column[i].is;
    int64_t number = 0;
    if (is == ROWS_UPDATED_AT)
        return 0;
    if (is == ROWS_ARTICLE)
        return take_article(out, field->text, field->bytes, error);
    if (is == ROWS_KIND) {
        out->kind = kind_id(reader->kinds, field->text);
        return out->kind != 0 ? 0 : unknown_kind(field->text, error);
    }
    if (csv_number(field, &number) != 0)
        return error_set(error, "\"%.*s\" is not a whole number of 0 to %" PRId64, SHOWN_BYTES,
                         field->text, (int64_t)ROWS_COUNT_MAX);
    if (is == ROWS_TOTAL)
        *total = number;
    if (is == ROWS_REGISTERS || is == ROWS_BASE)
        return rows_add(out, reader->column[i].kind, is == ROWS_REGISTERS, number, error);
    if (is == ROWS_COUNT) /* of a kind whose column may follow */
        out->count[0] = number;
    return 0;
}

static int read_csv(struct rows_reader *reader, char *line, size_t bytes, struct rows_line *out,
                    struct error *error)
{
    struct csv_field fields[ROWS_COLUMNS_MAX];
    const char *why = "";
    int64_t total = -1;
    if (reader->columns == 0 && bytes > 0 && line[0] == '{')
        return error_set(error, "a JSON object, but lines of CSV are asked for: --format=jsonl");
    int n = csv_split(line, bytes, fields, ROWS_COLUMNS_MAX, &why);
    if (n < 0)
        return error_set(error, "%s", why);
    if (reader->columns == 0)
        return read_header(reader, fields, n, error);
    if (n != reader->columns)
        return error_set(error, "%d fields, but the header has %d", n, reader->columns);
    out->whole = reader->whole;
    for (int i = 0; i < n; i++)
        if (csv_value(reader, i, &fields[i], out, &total, error) != 0)
            return -1;
    if (!out->whole) {
        out->count[out->kind] = out->count[0];
        out->count[0] = 0;
    }
    return check_sum(out, total, error) != 0 ? -1 : 1;
}

/* --- JSON lines --- */

static bool whole_number(const cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
        item->valuedouble > (double)ROWS_COUNT_MAX || item->valuedouble != floor(item->valuedouble))
        return false;
    *out = (int64_t)item->valuedouble;
    return true;
}

static int not_a_number(const cJSON *item, struct error *error)
{
    return error_set(error, "\"%.*s\" is not a whole number of 0 to %" PRId64, SHOWN_BYTES,
                     item->string, (int64_t)ROWS_COUNT_MAX);
}

static int there_twice(const cJSON *object, struct error *error)
{
    const cJSON *one, *other;
    cJSON_ArrayForEach(one, object)
    {
        for (other = one->next; other != NULL; other = other->next)
            if (strcmp(one->string, other->string) == 0)
                return error_set(error, "\"%.*s\" is there twice", SHOWN_BYTES, one->string);
    }
    return 0;
}

static int json_by_kind(const struct rows_reader *reader, const cJSON *counts, bool registers,
                        struct rows_line *out, struct error *error)
{
    const cJSON *one;
    int64_t number;
    if (!cJSON_IsObject(counts))
        return error_set(error, "\"%s\" is not an object of kinds", counts->string);
    if (there_twice(counts, error) != 0)
        return -1;
    cJSON_ArrayForEach(one, counts)
    {
        int kind = kind_id(reader->kinds, one->string);
        if (kind == 0)
            return unknown_kind(one->string, error);
        if (!whole_number(one, &number))
            return not_a_number(one, error);
        if (rows_add(out, kind, registers, number, error) != 0)
            return -1;
    }
    return 0;
}

/* The possible members of the object; one bit for each member present. */
struct json_line {
    unsigned has;
    int64_t total, number;
};

static int json_member(const struct rows_reader *reader, const cJSON *item, struct json_line *line,
                       struct rows_line *out, struct error *error)
{
    static const char *const names[] = {"article", "version", "updated_at",        "total",
                                        "kind",    "count",   ROWS_REGISTERS_NAME, ROWS_BASE_NAME};
    const char *text = cJSON_GetStringValue(item);
    size_t is = 0;
    while (is < sizeof names / sizeof names[0] && strcmp(names[is], item->string) != 0)
        is++;
    line->has |= 1u << is;
    switch (is) {
    case ROWS_ARTICLE:
        if (text == NULL)
            return error_set(error, "\"article\" is not text");
        return take_article(out, text, strlen(text), error);
    case ROWS_UPDATED_AT:
        return 0;
    case ROWS_KIND:
        out->kind = text == NULL ? 0 : kind_id(reader->kinds, text);
        return out->kind != 0 ? 0 : unknown_kind(text == NULL ? "it" : text, error);
    case ROWS_VERSION:
    case ROWS_TOTAL:
    case ROWS_COUNT:
        if (!whole_number(item, is == ROWS_TOTAL ? &line->total : &line->number))
            return not_a_number(item, error);
        if (is == ROWS_COUNT)
            out->count[0] = line->number;
        return 0;
    case ROWS_REGISTERS:
    case ROWS_BASE:
        return json_by_kind(reader, item, is == ROWS_REGISTERS, out, error);
    default:
        return error_set(error, "\"%.*s\" is unknown", SHOWN_BYTES, item->string);
    }
}

static int json_object(const struct rows_reader *reader, const cJSON *object, struct rows_line *out,
                       struct error *error)
{
    const unsigned single = 1u << ROWS_ARTICLE | 1u << ROWS_KIND | 1u << ROWS_COUNT;
    const unsigned counts = 1u << ROWS_REGISTERS | 1u << ROWS_BASE;
    struct json_line line = {.total = -1};
    const cJSON *item;
    if (!cJSON_IsObject(object))
        return error_set(error, "it is not a JSON object");
    if (there_twice(object, error) != 0)
        return -1;
    cJSON_ArrayForEach(item, object)
    {
        if (json_member(reader, item, &line, out, error) != 0)
            return -1;
    }
    out->whole = (line.has & counts) != 0;
    if (line.has != single && !(out->whole && (line.has & single) == 1u << ROWS_ARTICLE))
        return error_set(error, "it has neither article, kind and count nor what an export has");
    if (!out->whole) {
        out->count[out->kind] = out->count[0];
        out->count[0] = 0;
    }
    return check_sum(out, line.total, error) != 0 ? -1 : 1;
}

static int read_json(const struct rows_reader *reader, const char *line, size_t bytes,
                     struct rows_line *out, struct error *error)
{
    const char *end = NULL;
    /* A NUL, plain or escaped, would cut a text short. */
    if (memchr(line, '\0', bytes) != NULL || memmem(line, bytes, "\\u0000", 6) != NULL)
        return error_set(error, "a NUL byte");
    cJSON *object = cJSON_ParseWithLengthOpts(line, bytes, &end, 0);
    int result = -1;
    if (object == NULL || (size_t)(end - line) + strspn(end, " \t") != bytes)
        error_set(error, "it is not JSON");
    else
        result = json_object(reader, object, out, error);
    cJSON_Delete(object);
    return result;
}

int rows_read(struct rows_reader *reader, char *line, size_t bytes, struct rows_line *out,
              struct error *error)
{
    memset(out, 0, sizeof *out);
    line[bytes] = '\0';
    if (bytes == 0)
        return 0;
    return reader->format == ROWS_CSV ? read_csv(reader, line, bytes, out, error)
                                      : read_json(reader, line, bytes, out, error);
}

/* Splits a line in place: a quoted field is unquoted where it is. */
#include "csv.h"

#include <stdbool.h>
#include <string.h>

/* Unquotes the field that begins after a quote at `in`, up to `end`, into `out`. Returns the end of
 * the field in the line, and its length in *bytes; NULL if the field does not end properly. */
static char *unquote(char *in, const char *end, char *out, size_t *bytes)
{
    const char *begin = out;
    for (; in < end; in++) {
        if (*in != '"')
            *out++ = *in;
        else if (in + 1 < end && in[1] == '"')
            *out++ = *in++;
        else {
            in++;
            *bytes = (size_t)(out - begin);
            return in == end || *in == ',' ? in : NULL;
        }
    }
    return NULL;
}

int csv_split(char *line, size_t bytes, struct csv_field *fields, int max, const char **why)
{
    char *at = line, *end = line + bytes;
    int n = 0;
    if (memchr(line, '\0', bytes) != NULL) {
        *why = "a NUL byte";
        return -1;
    }
    *end = '\0';
    for (;;) {
        if (n == max) {
            *why = "too many fields";
            return -1;
        }
        struct csv_field *field = &fields[n++];
        char *begin = at;
        if (at < end && *at == '"') {
            field->text = begin;
            at = unquote(at + 1, end, begin, &field->bytes);
        } else {
            field->text = begin;
            field->bytes = strcspn(begin, ",\"");
            at += field->bytes;
            if (*at == '"')
                at = NULL;
        }
        if (at == NULL) {
            *why = "a quote that is not closed, or is inside a field";
            return -1;
        }
        bool last = at == end;
        begin[field->bytes] = '\0';
        if (last)
            return n;
        at++;
    }
}

void csv_write(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

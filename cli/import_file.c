/* Reads the file line by line into the table. The first line that is wrong refuses all of it. */
#include "import_file.h"

#include "core/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* Reads a line without its end, LF or CR LF. Returns whether there was one; *bytes is above
 * ROWS_LINE_MAX_BYTES if the line is too long. */
static bool read_line(FILE *in, char line[ROWS_LINE_MAX_BYTES + 2], size_t *bytes)
{
    int c;
    *bytes = 0;
    while ((c = getc_unlocked(in)) != EOF && c != '\n') {
        if (*bytes > ROWS_LINE_MAX_BYTES)
            return true;
        line[(*bytes)++] = (char)c;
    }
    bool some = c != EOF || *bytes > 0;
    if (*bytes > 0 && line[*bytes - 1] == '\r')
        (*bytes)--;
    return some;
}

static int take_line(struct rows_reader *reader, struct table *table, char *line, size_t bytes,
                     uint64_t number, struct error *error)
{
    static const char mark[] = "\xef\xbb\xbf"; /* the byte order mark that some programs write */
    struct rows_line said;
    struct error why;
    int rc;
    if (number == 1 && bytes >= 3 && memcmp(line, mark, 3) == 0) {
        line += 3;
        bytes -= 3;
    }
    if (bytes > ROWS_LINE_MAX_BYTES)
        rc = error_set(&why, "longer than %d bytes", ROWS_LINE_MAX_BYTES);
    else
        rc = rows_read(reader, line, bytes, &said, &why);
    if (rc == 1)
        rc = table_add_line(table, &said, number, &why);
    return rc == 0 ? 0 : error_set(error, "line %" PRIu64 ": %s", number, why.text);
}

int import_file_read(FILE *in, enum rows_format format, const struct audit_kinds *kinds,
                     struct table *table, struct error *error)
{
    char line[ROWS_LINE_MAX_BYTES + 2];
    struct rows_reader reader;
    size_t bytes;
    rows_reader_init(&reader, format, kinds);
    for (uint64_t number = 1; read_line(in, line, &bytes); number++)
        if (take_line(&reader, table, line, bytes, number, error) != 0)
            return -1;
    if (ferror(in) != 0)
        return error_set(error, "it cannot be read: %s", strerror(errno));
    if (table_size(table) == 0)
        return error_set(error, "there is no article in it");
    return 0;
}

/* What a daemon's /metrics says is well formed, and is what a table in its DESIGN lists: the same
 * names, types and labels. Include it after cmocka's headers, in one file of a test. */
#ifndef TALLY_TESTS_EXPOSITION_TABLE_H
#define TALLY_TESTS_EXPOSITION_TABLE_H

#include <event2/buffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_METRICS 128

struct named {
    char name[80];
    char type[16];
    char label[16];
};

static struct named said[MAX_METRICS], listed[MAX_METRICS];
static size_t said_n, listed_n;

/* What was written, as a text that the caller frees. Frees `out`. */
static char *exposition_table_text(struct evbuffer *out)
{
    size_t bytes = evbuffer_get_length(out);
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    evbuffer_remove(out, text, bytes);
    text[bytes] = '\0';
    evbuffer_free(out);
    return text;
}

static struct named *find(struct named *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

/* A sample: its name (without what a histogram adds) must be the metric that was declared
 * last. */
static void read_sample(const char *line)
{
    struct named *last = &said[said_n - 1];
    size_t name_bytes = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
    const char *rest = line + name_bytes;
    char *end;
    assert_true(said_n > 0);
    assert_true(strncmp(line, last->name, strlen(last->name)) == 0);
    const char *suffix = line + strlen(last->name);
    bool histogram = strcmp(last->type, "histogram") == 0;
    if (histogram)
        assert_true(strncmp(suffix, "_bucket{le=", 11) == 0 || strncmp(suffix, "_sum ", 5) == 0 ||
                    strncmp(suffix, "_count ", 7) == 0);
    else
        assert_ptr_equal(suffix, rest);
    if (*rest == '{') {
        size_t label_bytes = strcspn(rest + 1, "=");
        assert_true(label_bytes < sizeof last->label);
        if (!histogram)
            snprintf(last->label, sizeof last->label, "%.*s", (int)label_bytes, rest + 1);
        rest = strchr(rest, '}');
        assert_non_null(rest);
        rest++;
    }
    assert_int_equal(*rest, ' ');
    strtod(rest + 1, &end);
    assert_true(end > rest + 1);
    assert_int_equal(*end, '\0');
}

static void read_said(char *text)
{
    char help[80] = "";
    said_n = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line, "# HELP %79s", help), 1);
            assert_int_equal(line[strlen(line) - 1], '.');
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            struct named *one = &said[said_n++];
            memset(one, 0, sizeof *one);
            assert_int_equal(sscanf(line, "# TYPE %79s %15s", one->name, one->type), 2);
            assert_string_equal(one->name, help);
            assert_null(find(said, said_n - 1, one->name));
        } else {
            read_sample(line);
        }
    }
}

/* Rows of DESIGN: | `name` | type | label, or nothing | what it is | */
static void read_listed(const char *path)
{
    char line[512];
    FILE *design = fopen(path, "r");
    assert_non_null(design);
    listed_n = 0;
    while (fgets(line, sizeof line, design) != NULL) {
        struct named *one = &listed[listed_n];
        if (strncmp(line, "| `tally_", 9) != 0 && strncmp(line, "| `process_", 11) != 0)
            continue;
        memset(one, 0, sizeof *one);
        int fields =
            sscanf(line, "| `%79[a-z_]` | %15[a-z] | %15[a-z] |", one->name, one->type, one->label);
        assert_true(fields >= 2);
        listed_n++;
    }
    fclose(design);
}

/* Both ways. */
static void exposition_table_compare(char *text, const char *design)
{
    read_said(text);
    read_listed(design);
    for (size_t i = 0; i < said_n; i++) {
        const struct named *row = find(listed, listed_n, said[i].name);
        if (row == NULL)
            print_error("DESIGN does not list %s\n", said[i].name);
        assert_non_null(row);
        assert_string_equal(row->type, said[i].type);
        assert_string_equal(row->label, said[i].label);
    }
    for (size_t i = 0; i < listed_n; i++) {
        if (find(said, said_n, listed[i].name) == NULL)
            print_error("nothing says %s\n", listed[i].name);
        assert_non_null(find(said, said_n, listed[i].name));
    }
    assert_int_equal(said_n, listed_n);
}

/* As Prometheus asks; after exposition_table_compare. */
static void exposition_table_units(void)
{
    for (size_t i = 0; i < said_n; i++) {
        size_t bytes = strlen(said[i].name);
        bool total = bytes > 6 && strcmp(said[i].name + bytes - 6, "_total") == 0;
        assert_int_equal(total, strcmp(said[i].type, "counter") == 0);
        assert_null(strstr(said[i].name, "_ms"));
    }
}

#endif

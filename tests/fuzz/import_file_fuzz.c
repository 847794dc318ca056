/* Files of counts, the first byte says of which format: refused with a sentence, or understood
 * within bounds; then, exported, they say the same again. */
#include "fuzz.h"
#include "import_file.h"

static const struct audit_kinds kinds = {.name = {"", "like", "dislike", "", "wow"}};

static struct table *read_file(const void *data, size_t bytes, enum rows_format format)
{
    struct error error = {0};
    struct table *table = table_new();
    FILE *in = fmemopen((void *)(uintptr_t)data, bytes, "r");
    FUZZ_CHECK(table != NULL && in != NULL);
    int rc = import_file_read(in, format, &kinds, table, &error);
    FUZZ_CHECK((rc == 0 || rc == -1) && (rc == -1) == (error.text[0] != '\0'));
    (void)fclose(in);
    if (rc == 0)
        return table;
    table_free(table);
    return NULL;
}

static void check_entry(const struct table_entry *entry)
{
    int64_t sum = 0;
    FUZZ_CHECK(article_valid(entry->article, entry->bytes));
    FUZZ_CHECK(strlen(entry->article) == entry->bytes && entry->line > 0 && entry->kinds != 0);
    for (int id = 0; id <= KIND_MAX; id++) {
        FUZZ_CHECK(entry->count[id] >= 0 && entry->count[id] <= ROWS_COUNT_MAX);
        FUZZ_CHECK(entry->count[id] == 0 || kinds.name[id][0] != '\0');
        sum += entry->count[id];
    }
    FUZZ_CHECK(sum <= ROWS_COUNT_MAX);
}

static void check_again(const struct table *table, enum rows_format format)
{
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    FUZZ_CHECK(out != NULL);
    rows_write_header(out, format, &kinds);
    for (const struct table_entry *one = table_next(table, NULL); one != NULL;
         one = table_next(table, one)) {
        struct rows_article row = {.article = one->article, .version = one->line};
        memcpy(one->registers ? row.registers : row.base, one->count, sizeof row.base);
        rows_write(out, format, &kinds, &row);
    }
    FUZZ_CHECK(fclose(out) == 0);
    struct table *again = read_file(text, bytes, format);
    FUZZ_CHECK(again != NULL && table_size(again) == table_size(table));
    const struct table_entry *other = table_next(again, NULL);
    for (const struct table_entry *one = table_next(table, NULL); one != NULL;
         one = table_next(table, one), other = table_next(again, other))
        FUZZ_CHECK(strcmp(one->article, other->article) == 0 &&
                   one->registers == other->registers &&
                   memcmp(one->count, other->count, sizeof one->count) == 0);
    table_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2)
        return 0;
    struct table *table = read_file(data + 1, bytes - 1, data[0] & 1 ? ROWS_JSONL : ROWS_CSV);
    if (table == NULL)
        return 0;
    FUZZ_CHECK(table_size(table) > 0);
    for (const struct table_entry *one = table_next(table, NULL); one != NULL;
         one = table_next(table, one))
        check_entry(one);
    check_again(table, ROWS_CSV);
    check_again(table, ROWS_JSONL);
    table_free(table);
    return 0;
}

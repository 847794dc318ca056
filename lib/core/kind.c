/* A linear search over at most 15 names, and the parser of the option `kinds`. */
#include "core/kind.h"

#include "core/error.h"

#include <string.h>

#define NONE "none"

bool kind_name_valid(const char *name, size_t bytes)
{
    if (bytes == 0 || bytes > KIND_NAME_MAX_BYTES || name[0] < 'a' || name[0] > 'z')
        return false;
    for (size_t i = 1; i < bytes; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return true;
}

void kind_table_init(struct kind_table *table)
{
    memset(table, 0, sizeof *table);
    memcpy(table->name[KIND_NONE], NONE, sizeof NONE);
}

int kind_find(const struct kind_table *table, const char *name, size_t bytes)
{
    if (bytes == 0 || bytes > KIND_NAME_MAX_BYTES)
        return KIND_UNKNOWN;
    for (int i = 0; i <= table->n; i++)
        if (table->name[i][0] == name[0] && strlen(table->name[i]) == bytes &&
            memcmp(table->name[i], name, bytes) == 0)
            return i;
    return KIND_UNKNOWN;
}

int kind_table_add(struct kind_table *table, const char *name, size_t bytes)
{
    if (table->n == KIND_MAX || !kind_name_valid(name, bytes) ||
        kind_find(table, name, bytes) != KIND_UNKNOWN)
        return KIND_UNKNOWN;
    int index = ++table->n;
    memset(table->name[index], 0, sizeof table->name[index]);
    memcpy(table->name[index], name, bytes);
    return index;
}

static int explain(const struct kind_table *table, const char *name, size_t bytes,
                   struct error *error)
{
    int shown = bytes > 64 ? 64 : (int)bytes;
    if (!kind_name_valid(name, bytes))
        return error_set(error,
                         "kind '%.*s' is not a name of 1 to %d of a-z, 0-9, _ and -, "
                         "beginning with a letter",
                         shown, name, KIND_NAME_MAX_BYTES);
    if (kind_find(table, name, bytes) == KIND_NONE)
        return error_set(error, "kind 'none' is always there and cannot be listed");
    if (kind_find(table, name, bytes) != KIND_UNKNOWN)
        return error_set(error, "kind '%.*s' is listed twice", shown, name);
    return error_set(error, "kind '%.*s' exceeds the limit of %d kinds", shown, name, KIND_MAX);
}

int kind_table_parse(struct kind_table *table, const char *list, struct error *error)
{
    kind_table_init(table);
    for (const char *name = list;;) {
        size_t bytes = strcspn(name, ",");
        if (kind_table_add(table, name, bytes) == KIND_UNKNOWN)
            return explain(table, name, bytes, error);
        if (name[bytes] == '\0')
            return 0;
        name += bytes + 1;
    }
}

/* A line that differs has both values. */
#include "check_store.h"

#include "core/reader.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KINDS_BYTES ((KIND_MAX + 1) * (KIND_NAME_MAX_BYTES + 1))
#define TEXT_BYTES 1024

struct check_store {
    struct store_view *store;
    const struct broker_options *here;
    void (*fn)(void *user, bool agrees, const char *what, const char *text);
    void *user;
};

static void check_store_line(const struct check_store *check, bool agrees, const char *what,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));

static void check_store_line(const struct check_store *check, bool agrees, const char *what,
                             const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    check->fn(check->user, agrees, what, text);
}

static int check_key(const struct check_store *check, struct error *error)
{
    struct reader_key key;
    unsigned char print[READER_FINGERPRINT_BYTES];
    char here[2 * READER_FINGERPRINT_BYTES + 1];
    struct error why;
    if (reader_key_load(&key, check->here->key_file, &why) != 0)
        return error_set(error, "plugin_opt_key_file: %s", why.text);
    reader_fingerprint(&key, print);
    sodium_memzero(&key, sizeof key);
    sodium_bin2hex(here, sizeof here, print, sizeof print);
    const char *there = store_view_key(check->store);
    if (strcmp(here, there) == 0)
        check_store_line(check, true, "reader key", "fingerprint %s", here);
    else
        check_store_line(
            check, false, "reader key",
            "%s has fingerprint %s, the store was made with %s: copy reader.key from an edge that "
            "counts",
            check->here->key_file, here, there);
    return 0;
}

static void check_shards(const struct check_store *check)
{
    uint32_t there = store_view_shards(check->store);
    if (check->here->shards == there)
        check_store_line(check, true, "shards", "%" PRIu32, there);
    else
        check_store_line(check, false, "shards",
                         "this edge has %" PRIu32 ", the store has %" PRIu32
                         ": set shards in [broker] of tally.conf (plugin_opt_shards) to %" PRIu32,
                         check->here->shards, there, there);
}

static void add_name(char list[KINDS_BYTES], const char *name)
{
    size_t used = strlen(list);
    snprintf(list + used, KINDS_BYTES - used, "%s%s", used > 0 ? "," : "", name);
}

/* The order may differ: it is only the one in which an edge names them. */
static void check_kinds(const struct check_store *check)
{
    char here[KINDS_BYTES] = "", there[KINDS_BYTES] = "";
    const struct kind_table *ours = &check->here->kinds;
    const struct audit_kinds *stored = store_view_kinds(check->store);
    int alike = 0, theirs = 0;
    for (int i = 1; i <= ours->n; i++)
        add_name(here, ours->name[i]);
    for (int i = 1; i <= KIND_MAX; i++) {
        if (stored->name[i][0] == '\0')
            continue;
        theirs++;
        add_name(there, stored->name[i]);
        alike += kind_find(ours, stored->name[i], strlen(stored->name[i])) > 0;
    }
    if (alike == theirs && ours->n == theirs)
        check_store_line(check, true, "kinds", "%s", here);
    else
        check_store_line(check, false, "kinds", "this edge has %s, the store has %s", here, there);
}

int check_store_run(struct store_view *store, const struct broker_options *here,
                    void (*fn)(void *user, bool agrees, const char *what, const char *text),
                    void *user, struct error *why)
{
    const struct check_store check = {store, here, fn, user};
    int rc = check_key(&check, why);
    check_shards(&check);
    check_kinds(&check);
    return rc;
}

/* Nothing is written until every line has been read and every article checked. */
#include "import.h"

#include "command.h"
#include "import_file.h"
#include "json_out.h"

#include "core/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BASE_MAX_BYTES (2 + 9 * KIND_MAX)
#define SAID_MAX 20 /* refused articles listed by name */

struct importing {
    const struct operate_settings *settings;
    struct store_view *store;
    struct store_edit *edit;
    struct table *table;
    uint64_t set, same, refused;
};

/* One article's call. */
struct call {
    const struct table_entry *entry;
    unsigned char base[BASE_MAX_BYTES];
    const char *argv[5];
    size_t bytes[5];
};

/* Packed as stored (FORMATS.md 5.1). Returns its length: 0 if all counts are 0. */
static size_t pack_base(const struct table_entry *entry, unsigned char out[BASE_MAX_BYTES])
{
    size_t used = 2;
    out[0] = 1;
    out[1] = 0;
    for (int id = 1; id <= KIND_MAX; id++)
        if (entry->count[id] > 0) {
            out[1]++;
            out[used] = (unsigned char)id;
            bytes_put_u64(out + used + 1, (uint64_t)entry->count[id]);
            used += 9;
        }
    return out[1] == 0 ? 0 : used;
}

static void prepare(const struct importing *importing, const struct table_entry *entry, bool look,
                    struct call *call, struct store_edit_call *out)
{
    call->entry = entry;
    const char *argv[] = {entry->article, (const char *)call->base, look ? "look" : "do",
                          importing->settings->replace ? "1" : "0", entry->registers ? "1" : "0"};
    const size_t bytes[] = {entry->bytes, pack_base(entry, call->base), strlen(argv[2]), 1, 1};
    memcpy(call->argv, argv, sizeof argv);
    memcpy(call->bytes, bytes, sizeof bytes);
    *out = (struct store_edit_call){
        .shard = article_shard(entry->article, entry->bytes, store_view_shards(importing->store)),
        .argc = 5,
        .argv = call->argv,
        .bytes = call->bytes,
    };
}

static void import_judge(struct importing *importing, const struct table_entry *entry,
                         const struct store_edit_call *call)
{
    const char *word = store_edit_word(call);
    if (strcmp(word, "ok") == 0) {
        importing->set++;
        return;
    }
    if (strcmp(word, "same") == 0) {
        importing->same++;
        return;
    }
    if (importing->refused++ >= SAID_MAX)
        return;
    if (strcmp(word, "base") == 0)
        (void)command_refused(importing->settings,
                              "line %" PRIu64 ": %s has a base of %" PRId64
                              " already, and not this one: use --replace to set it anyway",
                              entry->line, entry->article, store_edit_number(call, 1));
    else if (strcmp(word, "registers") == 0)
        (void)command_refused(importing->settings,
                              "line %" PRIu64 ": %s has %" PRId64
                              " registers here, and those of the file would count beside them: "
                              "use --replace to set its base anyway",
                              entry->line, entry->article, store_edit_number(call, 1));
    else
        (void)command_refused(importing->settings,
                              "line %" PRIu64 ": %s: its %s is of an unknown form", entry->line,
                              entry->article, store_edit_text(call, 1));
}

/* Checks all articles, or sets their bases. */
static int pass(struct importing *importing, bool look)
{
    static struct call call[STORE_EDIT_CALLS_MAX]; /* large */
    struct store_edit_call calls[STORE_EDIT_CALLS_MAX];
    const struct table_entry *entry = table_next(importing->table, NULL);
    importing->set = importing->same = importing->refused = 0;
    while (entry != NULL) {
        size_t n = 0;
        for (; entry != NULL && n < STORE_EDIT_CALLS_MAX;
             entry = table_next(importing->table, entry), n++)
            prepare(importing, entry, look, &call[n], &calls[n]);
        if (store_edit_call(importing->edit, STORE_EDIT_BASE, calls, n) != 0)
            return command_failed(importing->settings, "%s%s", store_edit_error(importing->edit),
                                  look ? ""
                                       : "; some articles are imported: run the command again");
        for (size_t i = 0; i < n; i++)
            import_judge(importing, call[i].entry, &calls[i]);
        store_edit_release(calls, n);
    }
    if (importing->refused > SAID_MAX)
        (void)command_refused(importing->settings, "%" PRIu64 " more articles are refused",
                              importing->refused - SAID_MAX);
    return importing->refused > 0 ? COMMAND_REFUSED : COMMAND_DONE;
}

static int read_file(const struct importing *importing)
{
    const struct operate_settings *settings = importing->settings;
    const bool standard = strcmp(settings->file, "-") == 0;
    struct error why;
    FILE *in = standard ? stdin : fopen(settings->file, "re");
    if (in == NULL)
        return command_failed(settings, "%s: %s", settings->file, strerror(errno));
    int rc = import_file_read(in, settings->rows, store_view_kinds(importing->store),
                              importing->table, &why);
    if (!standard)
        (void)fclose(in);
    return rc == 0 ? COMMAND_DONE
                   : command_refused(settings, "%s: %s",
                                     standard ? "standard input" : settings->file, why.text);
}

static void import_say(const struct importing *importing)
{
    const bool dry = importing->settings->dry_run;
    if (importing->settings->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddBoolToObject(object, "dry_run", dry);
        json_out_whole(object, "set", (int64_t)importing->set);
        json_out_whole(object, "same", (int64_t)importing->same);
        json_out_print(object, stdout);
        return;
    }
    printf("%" PRIu64 " articles %s, %" PRIu64 " are as they were\n", importing->set,
           dry ? "would get a base" : "have got a base", importing->same);
}

static int import_work(struct importing *importing)
{
    const bool dry = importing->settings->dry_run;
    int status = read_file(importing);
    if (status == COMMAND_DONE)
        status = pass(importing, true);
    if (status == COMMAND_DONE && !dry)
        status = pass(importing, false);
    if (status == COMMAND_DONE)
        status = command_replicated(importing->settings, importing->edit, status);
    if (status == COMMAND_DONE)
        import_say(importing);
    return status;
}

static int import_perform(const struct operate_settings *settings,
                          const struct links_secrets *secrets)
{
    struct importing importing = {.settings = settings};
    importing.store = command_open(settings, secrets, &importing.edit);
    if (importing.store == NULL)
        return COMMAND_FAILED;
    importing.table = table_new();
    int status =
        importing.table == NULL ? command_failed(settings, "no memory") : import_work(&importing);
    table_free(importing.table);
    command_close(importing.store, importing.edit);
    return command_printed(settings, status);
}

int import_run(int argc, char **argv)
{
    return command_run(OPERATE_IMPORT, argc, argv, import_perform);
}

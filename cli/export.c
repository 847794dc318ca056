/* Article names come from HSCAN, which may return one twice, so those of the current shard are
 * remembered. */
#include "export.h"

#include "command.h"
#include "head_batch.h"
#include "rows.h"
#include "table.h"

#include "core/total.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct exporting {
    const struct operate_settings *settings;
    struct store_view *store;
    struct table *seen; /* of this shard */
    struct head_batch batch;
    int status;
};

/* --- rows --- */

static void write_row(void *user, const char *article, const redisReply *head,
                      const redisReply *base)
{
    struct exporting *exporting = user;
    struct total registers, based = {.version = 0};
    struct rows_article row = {.article = article};
    if (head->type != REDIS_REPLY_STRING && exporting->settings->list.n == 0)
        return; /* deleted meanwhile */
    if (head->type != REDIS_REPLY_STRING) {
        exporting->status =
            command_refused(exporting->settings, "%s: the store has no such article", article);
        return;
    }
    if (total_parse_head(&registers, head->str, (size_t)head->len) != 0 ||
        (base->type == REDIS_REPLY_STRING &&
         total_add_base(&based, base->str, (size_t)base->len) != 0)) {
        exporting->status = command_refused(
            exporting->settings, "%s: its head or base is of an unknown form; left out", article);
        return;
    }
    if (registers.forgotten && exporting->settings->list.n == 0)
        return; /* its remains are about to be deleted */
    row.version = registers.version;
    memcpy(row.registers, registers.count, sizeof row.registers);
    memcpy(row.base, based.count, sizeof row.base);
    rows_write(stdout, exporting->settings->rows, store_view_kinds(exporting->store), &row);
}

/* Returns 0, or -1 if an error was reported, or standard output takes no more. */
static int export_reported(struct exporting *exporting, int rc, const struct error *error)
{
    if (rc != 0)
        exporting->status = command_failed(exporting->settings, "%s", error->text);
    return rc == 0 && ferror(stdout) == 0 ? 0 : -1;
}

static int export_add(struct exporting *exporting, const char *article, size_t bytes)
{
    struct error error;
    return export_reported(exporting, head_batch_add(&exporting->batch, article, bytes, &error),
                           &error);
}

static int export_flush(struct exporting *exporting)
{
    struct error error;
    return export_reported(exporting, head_batch_flush(&exporting->batch, &error), &error);
}

/* --- which articles --- */

static int on_article(void *user, const char *article, size_t bytes)
{
    struct exporting *exporting = user;
    if (!article_valid(article, bytes)) {
        exporting->status = command_refused(
            exporting->settings, "shard %" PRIu32 " has a head of no article's name; left out",
            exporting->batch.shard);
        return 0;
    }
    if (article_is_probe(article, bytes))
        return 0;
    int added = table_add(exporting->seen, article, bytes);
    if (added < 0) {
        exporting->status =
            command_failed(exporting->settings, "more than %d articles in a shard, or no memory",
                           TABLE_ARTICLES_MAX);
        return 1;
    }
    if (added == 0)
        return 0;
    return export_add(exporting, article, bytes) == 0 ? 0 : 1;
}

static void shard_of_all(struct exporting *exporting)
{
    int rc = -1;
    exporting->seen = table_new();
    if (exporting->seen == NULL) {
        exporting->status = command_failed(exporting->settings, "no memory");
        return;
    }
    rc = store_view_articles(exporting->store, exporting->batch.shard, on_article, exporting);
    if (rc < 0)
        exporting->status =
            command_failed(exporting->settings, "%s", store_view_error(exporting->store));
    if (rc == 0)
        (void)export_flush(exporting);
    table_free(exporting->seen);
    exporting->seen = NULL;
}

static void listed(struct exporting *exporting)
{
    const struct article_list *list = &exporting->settings->list;
    const uint32_t shards = store_view_shards(exporting->store);
    for (size_t i = 0; i < list->n && exporting->status != COMMAND_FAILED; i++) {
        exporting->batch.shard = article_shard(list->of[i], strlen(list->of[i]), shards);
        if (export_add(exporting, list->of[i], strlen(list->of[i])) == 0)
            (void)export_flush(exporting);
    }
}

static int export_perform(const struct operate_settings *settings,
                          const struct links_secrets *secrets)
{
    static struct exporting exporting; /* large */
    exporting.settings = settings;
    exporting.store = command_open(settings, secrets, NULL);
    if (exporting.store == NULL)
        return COMMAND_FAILED;
    exporting.batch.store = exporting.store;
    exporting.batch.fn = write_row;
    exporting.batch.user = &exporting;
    rows_write_header(stdout, settings->rows, store_view_kinds(exporting.store));
    if (settings->list.n > 0)
        listed(&exporting);
    for (uint32_t i = 0; settings->list.n == 0 && i < store_view_shards(exporting.store) &&
                         exporting.status != COMMAND_FAILED && ferror(stdout) == 0;
         i++) {
        exporting.batch.shard = i;
        shard_of_all(&exporting);
    }
    command_close(exporting.store, NULL);
    return command_printed(settings, exporting.status);
}

int export_run(int argc, char **argv)
{
    return command_run(OPERATE_EXPORT, argc, argv, export_perform);
}

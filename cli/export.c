/* Article names come from HSCAN, which may return one twice, so those of the current shard are
 * remembered. One script reads their heads and bases, because counts may move from one to the
 * other. A transaction would not do: a full Redis refuses it (7.0.15), although it can be read. */
#include "export.h"

#include "command.h"
#include "rows.h"
#include "table.h"

#include "core/total.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BATCH 100 /* articles asked for at once: some 0.1 ms of Redis's time */

struct exporting {
    const struct operate_settings *settings;
    struct store_view *store;
    struct table *seen; /* of this shard */
    uint32_t shard;
    size_t n;
    const char *article[BATCH];
    size_t bytes[BATCH];
    int status;
};

/* --- rows --- */

static void write_row(struct exporting *exporting, const char *article, const redisReply *head,
                      const redisReply *base)
{
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

/* --- asking --- */

static redisReply *ask_batch(struct exporting *exporting)
{
    static const char script[] =
        "return "
        "{redis.call('HMGET',KEYS[1],unpack(ARGV)),redis.call('HMGET',KEYS[2],unpack(ARGV))}";
    struct store_nodes *nodes = store_view_nodes(exporting->store);
    char heads[REDIS_KEY_BYTES], base[REDIS_KEY_BYTES];
    const char *argv[5 + BATCH] = {"EVAL", script, "2", heads, base};
    size_t bytes[5 + BATCH] = {4, sizeof script - 1, 1};
    store_nodes_key(nodes, heads, exporting->shard, "heads");
    store_nodes_key(nodes, base, exporting->shard, "base");
    bytes[3] = strlen(heads);
    bytes[4] = strlen(base);
    for (size_t i = 0; i < exporting->n; i++) {
        argv[5 + i] = exporting->article[i];
        bytes[5 + i] = exporting->bytes[i];
    }
    return store_view_ask(exporting->store, exporting->shard, (int)(5 + exporting->n), argv, bytes);
}

static bool is_array(const redisReply *reply, size_t elements)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == elements;
}

/* Asks for the gathered articles and writes them. Returns 0, or -1 after reporting the error. */
static int flush_batch(struct exporting *exporting)
{
    if (exporting->n == 0)
        return 0;
    redisReply *reply = ask_batch(exporting);
    if (reply == NULL) {
        exporting->status =
            command_failed(exporting->settings, "%s", store_view_error(exporting->store));
        return -1;
    }
    bool whole = is_array(reply, 2) && is_array(reply->element[0], exporting->n) &&
                 is_array(reply->element[1], exporting->n);
    if (!whole)
        exporting->status =
            command_failed(exporting->settings, "redis: a reply without heads and bases");
    for (size_t i = 0; whole && i < exporting->n; i++)
        write_row(exporting, exporting->article[i], reply->element[0]->element[i],
                  reply->element[1]->element[i]);
    exporting->n = 0;
    freeReplyObject(reply);
    return whole && ferror(stdout) == 0 ? 0 : -1;
}

/* `article` must stay valid until the flush. */
static int export_add(struct exporting *exporting, const char *article, size_t bytes)
{
    exporting->article[exporting->n] = article;
    exporting->bytes[exporting->n++] = bytes;
    return exporting->n == BATCH ? flush_batch(exporting) : 0;
}

/* --- which articles --- */

static int on_article(void *user, const char *article, size_t bytes)
{
    struct exporting *exporting = user;
    if (!article_valid(article, bytes)) {
        exporting->status = command_refused(
            exporting->settings, "shard %" PRIu32 " has a head of no article's name; left out",
            exporting->shard);
        return 0;
    }
    int added = table_add(exporting->seen, article, bytes);
    if (added < 0) {
        exporting->status =
            command_failed(exporting->settings, "more than %d articles in a shard, or no memory",
                           TABLE_ARTICLES_MAX);
        return 1;
    }
    if (added == 0)
        return 0;
    return export_add(exporting, table_last(exporting->seen)->article, bytes) == 0 ? 0 : 1;
}

static void shard_of_all(struct exporting *exporting)
{
    int rc = -1;
    exporting->seen = table_new();
    if (exporting->seen == NULL) {
        exporting->status = command_failed(exporting->settings, "no memory");
        return;
    }
    rc = store_view_articles(exporting->store, exporting->shard, on_article, exporting);
    if (rc < 0)
        exporting->status =
            command_failed(exporting->settings, "%s", store_view_error(exporting->store));
    if (rc == 0)
        (void)flush_batch(exporting);
    table_free(exporting->seen);
    exporting->seen = NULL;
}

static void listed(struct exporting *exporting)
{
    const struct article_list *list = &exporting->settings->list;
    const uint32_t shards = store_view_shards(exporting->store);
    for (size_t i = 0; i < list->n && exporting->status != COMMAND_FAILED; i++) {
        exporting->shard = article_shard(list->of[i], strlen(list->of[i]), shards);
        if (export_add(exporting, list->of[i], strlen(list->of[i])) == 0)
            (void)flush_batch(exporting);
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
    rows_write_header(stdout, settings->rows, store_view_kinds(exporting.store));
    if (settings->list.n > 0)
        listed(&exporting);
    for (uint32_t i = 0; settings->list.n == 0 && i < store_view_shards(exporting.store) &&
                         exporting.status != COMMAND_FAILED && ferror(stdout) == 0;
         i++) {
        exporting.shard = i;
        shard_of_all(&exporting);
    }
    command_close(exporting.store, NULL);
    return command_printed(settings, exporting.status);
}

int export_run(int argc, char **argv)
{
    return command_run(OPERATE_EXPORT, argc, argv, export_perform);
}

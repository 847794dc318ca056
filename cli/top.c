/* Looks at every article of every shard once. Only the highest are kept. */
#include "top.h"

#include "command.h"
#include "head_batch.h"
#include "highest.h"
#include "json_out.h"

#include "core/total.h"
#include "daemon/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct topping {
    const struct operate_settings *settings;
    struct store_view *store;
    struct highest *highest;
    struct head_batch batch;
    uint64_t damaged;
    struct error why;
};

/* --- reading --- */

static void top_take(void *user, const char *article, const redisReply *head,
                     const redisReply *base)
{
    struct topping *topping = user;
    struct highest_row row = {.total = 0};
    struct total total;
    if (head->type != REDIS_REPLY_STRING)
        return; /* deleted meanwhile */
    if (total_parse_head(&total, head->str, (size_t)head->len) != 0 ||
        (base->type == REDIS_REPLY_STRING &&
         total_add_base(&total, base->str, (size_t)base->len) != 0)) {
        topping->damaged++;
        return;
    }
    if (total.forgotten)
        return;
    row.total = total_sum(&total);
    row.version = total.version;
    memcpy(row.count, total.count, sizeof row.count);
    memcpy(row.article, article, strlen(article) + 1);
    if (row.total > 0)
        highest_take(topping->highest, &row);
}

static int top_article(void *user, const char *article, size_t bytes)
{
    struct topping *topping = user;
    if (!article_valid(article, bytes)) {
        topping->damaged++;
        return 0;
    }
    if (article_is_probe(article, bytes))
        return 0;
    return head_batch_add(&topping->batch, article, bytes, &topping->why) == 0 ? 0 : 1;
}

static int top_shard(struct topping *topping)
{
    int rc = store_view_articles(topping->store, topping->batch.shard, top_article, topping);
    if (rc < 0)
        return command_failed(topping->settings, "%s", store_view_error(topping->store));
    if (rc != 0 || head_batch_flush(&topping->batch, &topping->why) != 0)
        return command_failed(topping->settings, "%s", topping->why.text);
    return COMMAND_DONE;
}

/* --- printing --- */

static void top_text(const struct topping *topping)
{
    const struct audit_kinds *kinds = store_view_kinds(topping->store);
    for (size_t i = 0; i < highest_size(topping->highest); i++) {
        const struct highest_row *row = highest_row(topping->highest, i);
        printf("%12" PRId64 "  %s ", row->total, row->article);
        for (int kind = 1; kind <= KIND_MAX; kind++)
            if (row->count[kind] != 0)
                printf(" %s %" PRId64, kinds->name[kind][0] != '\0' ? kinds->name[kind] : "?",
                       row->count[kind]);
        putchar('\n');
    }
}

static cJSON *top_row_json(const struct audit_kinds *kinds, const struct highest_row *row)
{
    char updated_at[TOTAL_TIME_BYTES];
    cJSON *one = cJSON_CreateObject();
    total_time(row->version, updated_at);
    cJSON_AddStringToObject(one, "article", row->article);
    json_out_whole(one, "total", row->total);
    cJSON *counts = cJSON_AddObjectToObject(one, "counts");
    for (int kind = 1; kind <= KIND_MAX; kind++)
        if (kinds->name[kind][0] != '\0')
            json_out_whole(counts, kinds->name[kind], row->count[kind]);
    json_out_whole(one, "version", (int64_t)row->version);
    cJSON_AddStringToObject(one, "updated_at", updated_at);
    return one;
}

static void top_json(const struct topping *topping)
{
    cJSON *object = cJSON_CreateObject();
    json_out_whole(object, "at_ms", (int64_t)clock_unix_ms());
    json_out_hex(object, "store", store_view_id(topping->store));
    cJSON *list = cJSON_AddArrayToObject(object, "articles");
    for (size_t i = 0; i < highest_size(topping->highest); i++)
        cJSON_AddItemToArray(
            list, top_row_json(store_view_kinds(topping->store), highest_row(topping->highest, i)));
    json_out_print(object, stdout);
}

/* --- the run --- */

static int top_all(struct topping *topping)
{
    int status = COMMAND_DONE;
    for (uint32_t i = 0; status == COMMAND_DONE && i < store_view_shards(topping->store); i++) {
        topping->batch.shard = i;
        status = top_shard(topping);
    }
    if (status != COMMAND_DONE)
        return status;
    if (topping->settings->json)
        top_json(topping);
    else
        top_text(topping);
    if (topping->damaged > 0)
        return command_refused(topping->settings,
                               "%" PRIu64 " articles have no readable name, head or base, and are "
                               "left out: tally audit names them",
                               topping->damaged);
    return COMMAND_DONE;
}

static int top_perform(const struct operate_settings *settings, const struct links_secrets *secrets)
{
    static struct topping topping; /* large */
    topping.settings = settings;
    topping.store = command_open(settings, secrets, NULL);
    if (topping.store == NULL)
        return COMMAND_FAILED;
    topping.batch.store = topping.store;
    topping.batch.fn = top_take;
    topping.batch.user = &topping;
    topping.highest = highest_new((size_t)settings->shown);
    int status =
        topping.highest != NULL ? top_all(&topping) : command_failed(settings, "no memory");
    highest_free(topping.highest);
    command_close(topping.store, NULL);
    return command_printed(settings, status);
}

int top_run(int argc, char **argv)
{
    return command_run(OPERATE_TOP, argc, argv, top_perform);
}

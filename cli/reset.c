/* Both commands run reset.lua, which moves the article's floor; only archive adds the counts to the
 * base. */
#include "reset.h"

#include "command.h"
#include "json_out.h"

#include "core/article_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 3 /* while its state changes */

struct resetting {
    const struct operate_settings *settings;
    struct store_view *store;
    struct store_edit *edit;
    uint32_t shard;
};

/* The clock of the shard's node, ms since 1970; 0 if unknown. */
static uint64_t redis_ms(struct store_view *store, uint32_t shard)
{
    const char *argv[] = {"TIME"};
    const size_t bytes[] = {4};
    uint64_t ms = 0;
    redisReply *reply = store_view_ask(store, shard, 1, argv, bytes);
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2)
        ms = strtoull(reply->element[0]->str, NULL, 10) * 1000 +
             strtoull(reply->element[1]->str, NULL, 10) / 1000;
    freeReplyObject(reply);
    return ms;
}

/* Whether the article's state, as the feed stored it, is closed. COMMAND_DONE with the stored
 * state, or the reason why not. */
static int judge_closed(const struct resetting *resetting, struct store_view_stored *stored)
{
    const struct operate_settings *settings = resetting->settings;
    uint64_t now_ms = redis_ms(resetting->store, resetting->shard);
    if (now_ms == 0 || store_view_state(resetting->store, settings->article,
                                        strlen(settings->article), resetting->shard, stored) != 0)
        return command_failed(settings, "%s", store_view_error(resetting->store));
    if (stored->found == STORE_VIEW_BAD_STATE)
        return command_refused(settings, "%s: its state is of an unknown form", settings->article);
    if (stored->found == STORE_VIEW_NO_STATE || !article_state_closed_at(&stored->state, now_ms))
        return command_refused(settings,
                               "%s is not closed, and a reader's new reaction would count beside "
                               "the archived one: close it first, or --force",
                               settings->article);
    return COMMAND_DONE;
}

static void reset_json(const struct operate_settings *settings, const struct store_edit_call *call)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "article", settings->article);
    cJSON_AddBoolToObject(object, "dry_run", settings->dry_run);
    json_out_whole(object, "registers", store_edit_number(call, 2));
    json_out_whole(object, "counted", store_edit_number(call, 3));
    json_out_whole(object, "base_before", store_edit_number(call, 4));
    if (!settings->dry_run)
        json_out_whole(object, "version", store_edit_number(call, 1));
    json_out_print(object, stdout);
}

static void reset_say(const struct operate_settings *settings, const struct store_edit_call *call)
{
    bool archive = settings->command == OPERATE_ARCHIVE;
    const char *would = settings->dry_run ? "would be " : "";
    printf("%s: %" PRId64 " registers, %" PRId64 " counted, %s%s; ", settings->article,
           store_edit_number(call, 2), store_edit_number(call, 3), would,
           archive ? "added to the base" : "deleted");
    if (archive)
        printf("the base was %" PRId64, store_edit_number(call, 4));
    else
        printf("a base of %" PRId64 " %sdeleted", store_edit_number(call, 4), would);
    if (!settings->dry_run)
        printf("; version %" PRId64, store_edit_number(call, 1));
    printf("\n");
}

/* One call. *again: its state changed meanwhile. */
static int once(const struct resetting *resetting, bool *again)
{
    const struct operate_settings *settings = resetting->settings;
    bool archive = settings->command == OPERATE_ARCHIVE;
    bool judged = archive && !settings->force;
    struct store_view_stored stored = {0};
    int status = COMMAND_DONE;
    *again = false;
    if (judged)
        status = judge_closed(resetting, &stored);
    if (status != COMMAND_DONE)
        return status;
    const char *argv[] = {settings->article, archive ? "1" : "0", settings->dry_run ? "look" : "do",
                          stored.text};
    const size_t bytes[] = {strlen(argv[0]), 1, strlen(argv[2]), stored.text_bytes};
    struct store_edit_call call = {
        .shard = resetting->shard, .argc = judged ? 4 : 3, .argv = argv, .bytes = bytes};
    if (store_edit_call(resetting->edit, STORE_EDIT_RESET, &call, 1) != 0)
        return command_failed(settings, "%s", store_edit_error(resetting->edit));
    const char *word = store_edit_word(&call);
    *again = strcmp(word, "changed") == 0;
    if (strcmp(word, "none") == 0)
        status = command_refused(settings, "%s: the store has no such article", settings->article);
    else if (strcmp(word, "damaged") == 0)
        status = command_refused(settings, "%s: its %s is of an unknown form", settings->article,
                                 store_edit_text(&call, 1));
    else if (strcmp(word, "full") == 0)
        status = command_refused(settings, "%s: its base and counts are over 2^53 - 1 together",
                                 settings->article);
    else if (!*again)
        (settings->json ? reset_json : reset_say)(settings, &call);
    store_edit_release(&call, 1);
    return status;
}

static int reset_perform(const struct operate_settings *settings,
                         const struct links_secrets *secrets)
{
    struct resetting resetting = {.settings = settings};
    bool again = true;
    int status = COMMAND_DONE;
    resetting.store = command_open(settings, secrets, &resetting.edit);
    if (resetting.store == NULL)
        return COMMAND_FAILED;
    resetting.shard = article_shard(settings->article, strlen(settings->article),
                                    store_view_shards(resetting.store));
    for (int i = 0; i < TRIES && again && status == COMMAND_DONE; i++)
        status = once(&resetting, &again);
    if (status == COMMAND_DONE && again)
        status = command_failed(settings, "%s: its state keeps changing: try again later",
                                settings->article);
    if (status == COMMAND_DONE && !settings->dry_run && store_edit_drop(resetting.edit) != 0)
        status = command_failed(
            settings,
            "done, but some of its old registers remain; run the command again to delete them: %s",
            store_edit_error(resetting.edit));
    if (status == COMMAND_DONE)
        status = command_replicated(settings, resetting.edit, status);
    command_close(resetting.store, resetting.edit);
    return command_printed(settings, status);
}

int reset_run(int argc, char **argv)
{
    return command_run(OPERATE_RESET, argc, argv, reset_perform);
}

int reset_archive_run(int argc, char **argv)
{
    return command_run(OPERATE_ARCHIVE, argc, argv, reset_perform);
}

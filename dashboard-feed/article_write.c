/* Runs state.lua and touch.lua, and says when to try again what Redis did not take. Both scripts
 * answer alike. */
#include "article_write.h"

#include "script.h"

#include "core/article.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATER_MS 1000 /* after Redis did not take a write */

extern const unsigned char state_lua[], touch_lua[];
extern const unsigned long state_lua_bytes, touch_lua_bytes;

struct article_write {
    struct store_link *link;
    const char *failed; /* what to say if it cannot be done */
    article_write_cb callback;
    void *user;
};

/* Not 0: nothing was written; retry after this many ms, with all others that were not written. */
static uint32_t read_version(const struct article_write *write, const struct script_answer *answer,
                             uint64_t *version)
{
    const char *word = answer->word != NULL ? answer->word : "";
    if (strcmp(word, "ok") == 0 && answer->text != NULL) {
        *version = strtoull(answer->text, NULL, 10);
        return 0;
    }
    if (strcmp(word, "paused") == 0 && answer->number > 0)
        return (uint32_t)answer->number;
    if (answer->word != NULL || answer->text != NULL)
        store_report_not_written(store_link_report(write->link), write->failed,
                                 answer->text != NULL ? answer->text : "");
    return LATER_MS;
}

static void on_answer(void *user, const struct script_answer *answer)
{
    struct article_write *write = user;
    uint64_t version = 0;
    uint32_t later_ms = read_version(write, answer, &version);
    write->callback(write->user, version, later_ms);
    free(write);
}

/* `call` has no shard yet. Its first argument is the article; its last will be the shard. */
static int article_write_run(const struct article_write *like, struct script_call *call,
                             struct script_text *arguments)
{
    char number[12];
    if (!store_link_ready(like->link))
        return -1; /* an article has no shard */
    struct article_write *write = malloc(sizeof *write);
    if (write == NULL)
        return -1;
    *write = *like;
    call->shard =
        article_shard(arguments[0].text, arguments[0].bytes, store_link_shards(like->link));
    snprintf(number, sizeof number, "%" PRIu32, call->shard);
    arguments[call->n - 1] = (struct script_text){number, strlen(number)};
    call->arguments = arguments;
    if (script_run(write->link, call, on_answer, write) != 0) {
        free(write);
        return -1;
    }
    return 0;
}

int article_write_state(struct store_link *link, const char *article, size_t bytes,
                        const char *json, uint64_t above, article_write_cb callback, void *user)
{
    static const char *const names[] = {"heads", "changed", "meta", "states"};
    const struct article_write write = {link, "cannot store a state", callback, user};
    char version[24];
    snprintf(version, sizeof version, "%" PRIu64, above);
    struct script_text arguments[4] = {
        {article, bytes}, {version, strlen(version)}, {json, strlen(json)}};
    struct script_call call = {.script = {(const char *)state_lua, (size_t)state_lua_bytes},
                               .names = names,
                               .keys = 4,
                               .n = 4};
    return article_write_run(&write, &call, arguments);
}

int article_write_version(struct store_link *link, const char *article, size_t bytes,
                          uint64_t above, article_write_cb callback, void *user)
{
    static const char *const names[] = {"heads", "changed", "meta"};
    const struct article_write write = {link, "cannot raise an article's version", callback, user};
    char version[24];
    snprintf(version, sizeof version, "%" PRIu64, above);
    struct script_text arguments[3] = {{article, bytes}, {version, strlen(version)}};
    struct script_call call = {.script = {(const char *)touch_lua, (size_t)touch_lua_bytes},
                               .names = names,
                               .keys = 3,
                               .n = 3};
    return article_write_run(&write, &call, arguments);
}

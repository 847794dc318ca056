/* Sends an answer in the form in which Redis sends register.lua's. */
#include "answer.h"

#include <stdio.h>
#include <string.h>

struct sender {
    const struct module_api *api;
    RedisModuleCtx *ctx;
};

static void send_text(const struct sender *to, const char *text)
{
    to->api->reply_with_string_buffer(to->ctx, text, strlen(text));
}

static void answer_begin(const struct sender *to, const char *word, long elements)
{
    to->api->reply_with_array(to->ctx, elements);
    send_text(to, word);
}

static void send_ok(const struct sender *to, const struct answer *answer)
{
    answer_begin(to, "ok", 6);
    to->api->reply_with_long_long(to->ctx, answer->added);
    to->api->reply_with_long_long(to->ctx, answer->changed);
    to->api->reply_with_long_long(to->ctx, answer->repeated);
    to->api->reply_with_string_buffer(to->ctx, (const char *)answer->superseded,
                                      answer->superseded_bytes);
    send_text(to, answer->split_error);
}

static void send_position(const struct sender *to, const struct answer *answer)
{
    size_t bytes = 0;
    const char *position = "";
    if (answer->position != NULL)
        position = to->api->string_ptr_len(answer->position, &bytes);
    answer_begin(to, "at", 2);
    to->api->reply_with_string_buffer(to->ctx, position, bytes);
}

void answer_error(struct answer *answer, const char *text, size_t article)
{
    answer->what = ANSWER_ERROR;
    answer->article = (long long)article;
    snprintf(answer->text, sizeof answer->text, "%s", text);
}

void answer_send(const struct answer *answer, const struct module_api *api, RedisModuleCtx *ctx)
{
    const struct sender to = {api, ctx};
    switch (answer->what) {
    case ANSWER_OK:
        send_ok(&to, answer);
        break;
    case ANSWER_AT:
        send_position(&to, answer);
        break;
    case ANSWER_STORE:
        answer_begin(&to, "store", 2);
        send_text(&to, answer->text);
        break;
    case ANSWER_PAUSED:
        answer_begin(&to, "paused", 2);
        api->reply_with_long_long(ctx, answer->paused_ms);
        break;
    case ANSWER_ERROR:
        answer_begin(&to, "error", 3);
        send_text(&to, answer->text);
        api->reply_with_long_long(ctx, answer->article);
        break;
    }
}

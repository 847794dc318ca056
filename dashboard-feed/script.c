/* Sends EVAL, and takes apart what every writing script answers: a word, and perhaps one thing
 * more. */
#include "script.h"

#include "reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXED_WORDS 4 /* EVAL, the script, the number of keys, the store's id */

struct run {
    struct store_link *link;
    uint32_t shard;
    script_cb callback;
    void *user;
};

static struct script_answer read_answer(const struct run *run, const redisReply *reply)
{
    struct script_answer answer = {0};
    if (reply == NULL)
        return answer;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        !reply_is_string(reply->element[0])) {
        answer.text = reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply";
        return answer;
    }
    if (strcmp(reply->element[0]->str, "store") == 0) {
        store_link_another(run->link, run->shard);
        return answer;
    }
    answer.word = reply->element[0]->str;
    if (reply->elements > 1 && reply_is_string(reply->element[1]))
        answer.text = reply->element[1]->str;
    else if (reply->elements > 1 && reply->element[1]->type == REDIS_REPLY_INTEGER)
        answer.number = reply->element[1]->integer;
    return answer;
}

static void on_reply(void *user, const redisReply *data)
{
    struct run *run = user;
    const struct script_answer answer = read_answer(run, data);
    run->callback(run->user, &answer);
    free(run);
}

static int send_call(struct run *run, const struct script_call *call)
{
    char key[SCRIPT_KEYS_MAX][REDIS_KEY_BYTES], count[24];
    const char *words[FIXED_WORDS + SCRIPT_KEYS_MAX + SCRIPT_ARGUMENTS_MAX] = {
        "EVAL", call->script.text, count};
    size_t bytes[FIXED_WORDS + SCRIPT_KEYS_MAX + SCRIPT_ARGUMENTS_MAX] = {4, call->script.bytes};
    int used = 3;
    snprintf(count, sizeof count, "%zu", call->keys);
    bytes[2] = strlen(count);
    for (size_t i = 0; i < call->keys; i++) {
        store_link_key(run->link, key[i], call->shard, call->names[i]);
        words[used] = key[i];
        bytes[used++] = strlen(key[i]);
    }
    for (size_t i = 0; i < call->n; i++) {
        words[used] = call->arguments[i].text;
        bytes[used++] = call->arguments[i].bytes;
    }
    words[used] = store_link_id(run->link);
    bytes[used] = strlen(words[used]);
    return store_link_send(run->link, run->shard, on_reply, run, used + 1, words, bytes);
}

int script_run(struct store_link *link, const struct script_call *call, script_cb callback,
               void *user)
{
    if (!store_link_shard_ready(link, call->shard) || call->keys > SCRIPT_KEYS_MAX ||
        call->n > SCRIPT_ARGUMENTS_MAX)
        return -1;
    struct run *run = malloc(sizeof *run);
    if (run == NULL)
        return -1;
    *run = (struct run){.link = link, .shard = call->shard, .callback = callback, .user = user};
    if (send_call(run, call) != 0) {
        free(run);
        return -1;
    }
    return 0;
}

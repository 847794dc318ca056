/* Packs the arguments of register.lua and position.lua and reads their replies. It is the only file
 * that knows their order. */
#include "register_call.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUPERSEDED_BYTES 3 /* u16 index, u8 kind id */
#define OK_ELEMENTS 6

extern const unsigned char position_lua[];
extern const unsigned long position_lua_bytes;

void register_call_init(struct register_call *call, const char *prefix,
                        const struct ring_identity *identity)
{
    static const char *const names[] = {"heads", "changed", "meta", "rings"};
    memset(call, 0, sizeof *call);
    for (int i = 0; i < REGISTER_CALL_KEYS; i++)
        redis_key(call->key[i], prefix, identity->shard, names[i]);
    snprintf(call->shard, sizeof call->shard, "%u", identity->shard);
    snprintf(call->ring, sizeof call->ring, "%016" PRIx64, identity->ring_id);
    bytes_put_u64(call->edge, identity->edge_id);
}

void register_call_pack(struct register_call *call, const struct batch_range *range,
                        const struct register_call_terms *terms,
                        const struct batch_arguments *arguments)
{
    bytes_put_u64(call->from, range->from.position);
    bytes_put_u64(call->to, range->to.position);
    bytes_put_u64(call->to + 8, range->to.sequence);
    snprintf(call->quarantined, sizeof call->quarantined, "%zu", range->quarantined);
    snprintf(call->lost, sizeof call->lost, "%" PRIu64, range->lost);
    snprintf(call->split, sizeof call->split, "%u", terms->split);
    snprintf(call->store, sizeof call->store, "%016" PRIx64, terms->store);
    const char *command = terms->accelerated ? REGISTER_CALL_ACCELERATOR : "EVALSHA";
    const char *first = terms->accelerated ? "now" : terms->script;
    const struct {
        const void *at;
        size_t bytes;
    } fixed[REGISTER_CALL_FIXED] = {
        {command, strlen(command)},
        {first, strlen(first)},
        {"4", 1},
        {call->key[0], strlen(call->key[0])},
        {call->key[1], strlen(call->key[1])},
        {call->key[2], strlen(call->key[2])},
        {call->key[3], strlen(call->key[3])},
        {call->ring, strlen(call->ring)},
        {call->from, sizeof call->from},
        {call->to, sizeof call->to},
        {call->quarantined, strlen(call->quarantined)},
        {call->lost, strlen(call->lost)},
        {call->edge, sizeof call->edge},
        {call->split, strlen(call->split)},
        {call->shard, strlen(call->shard)},
        {terms->renew ? "1" : "0", 1},
        {call->store, strlen(call->store)},
    };
    for (size_t i = 0; i < REGISTER_CALL_FIXED; i++) {
        arguments->argv[i] = fixed[i].at;
        arguments->bytes[i] = fixed[i].bytes;
    }
}

static bool is_number(const redisReply *reply, size_t i)
{
    return reply->element[i]->type == REDIS_REPLY_INTEGER;
}

static bool is_text(const redisReply *reply, size_t i)
{
    return reply->element[i]->type == REDIS_REPLY_STRING;
}

/* 'ok', new, changed, repeated, superseded, split */
static void read_ok(struct register_call_reply *out, const redisReply *reply)
{
    const redisReply *superseded = reply->element[4];
    out->answer = APPLY_OK;
    out->why = NULL;
    out->added = (uint64_t)reply->element[1]->integer;
    out->changed = (uint64_t)reply->element[2]->integer;
    out->repeated = (uint64_t)reply->element[3]->integer;
    out->superseded = (uint64_t)superseded->len / SUPERSEDED_BYTES;
    out->next = (const unsigned char *)superseded->str;
    out->end = out->next + out->superseded * SUPERSEDED_BYTES;
    out->split_error = reply->element[5]->str;
}

/* 'error', what, article */
static void read_error(struct register_call_reply *out, const redisReply *reply)
{
    out->why = reply->element[1]->str;
    out->article = (size_t)reply->element[2]->integer;
    out->answer = apply_judge(out->why, out->article > 0);
}

static void read_words(struct register_call_reply *out, const redisReply *reply)
{
    const char *word = reply->element[0]->str;
    if (strcmp(word, "ok") == 0 && reply->elements == OK_ELEMENTS && is_number(reply, 1) &&
        is_number(reply, 2) && is_number(reply, 3) && is_text(reply, 4) && is_text(reply, 5)) {
        read_ok(out, reply);
    } else if (strcmp(word, "error") == 0 && reply->elements == 3 && is_text(reply, 1) &&
               is_number(reply, 2)) {
        read_error(out, reply);
    } else if (strcmp(word, "store") == 0 && is_text(reply, 1)) {
        out->why = reply->element[1]->str;
    } else if (strcmp(word, "at") == 0) {
        out->answer = APPLY_ELSEWHERE;
        out->why = NULL;
    } else if (strcmp(word, "paused") == 0) {
        out->answer = APPLY_PAUSED;
        out->why = NULL;
    }
}

/* The server lost the accelerator, or its user may not use it any more. */
static bool without_accelerator(const char *error)
{
    return (strncmp(error, "ERR unknown command", 19) == 0 || strncmp(error, "NOPERM", 6) == 0) &&
           strcasestr(error, "'" REGISTER_CALL_ACCELERATOR "'") != NULL;
}

void register_call_read(struct register_call_reply *out, const redisReply *reply)
{
    *out = (struct register_call_reply){.answer = APPLY_NO_ANSWER, .split_error = ""};
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        out->why = reply->str;
        out->answer =
            without_accelerator(reply->str) ? APPLY_NO_SCRIPT : apply_judge(reply->str, false);
        return;
    }
    out->answer = APPLY_WAIT;
    out->why = "unexpected reply from register.lua";
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 && is_text(reply, 0))
        read_words(out, reply);
}

bool register_call_superseded(struct register_call_reply *reply, size_t index, unsigned *kind_id)
{
    if (reply->next == reply->end || bytes_get_u16(reply->next) != index)
        return false;
    *kind_id = reply->next[2];
    reply->next += SUPERSEDED_BYTES;
    return true;
}

void register_call_ask(struct register_call *call, uint64_t store, bool adopt,
                       const char *argv[REGISTER_CALL_POSITION],
                       size_t bytes[REGISTER_CALL_POSITION])
{
    snprintf(call->store, sizeof call->store, "%016" PRIx64, store);
    const char *words[REGISTER_CALL_POSITION] = {
        "EVAL",      (const char *)position_lua, "2", call->key[2], call->key[3], call->ring,
        call->store, adopt ? "adopt" : ""};
    for (size_t i = 0; i < REGISTER_CALL_POSITION; i++) {
        argv[i] = words[i];
        bytes[i] = strlen(words[i]);
    }
    bytes[1] = (size_t)position_lua_bytes;
}

const char *register_call_read_position(struct apply_position *out, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || !is_text(reply, 0) ||
        !is_text(reply, 1))
        return "unexpected reply from position.lua";
    if (strcmp(reply->element[0]->str, "store") == 0)
        return reply->element[1]->str;
    if (apply_read_position(out, reply->element[1]->str, reply->element[1]->len) != 0)
        return "the ring's position in Redis is not a number";
    return NULL;
}

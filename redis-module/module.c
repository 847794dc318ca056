/* The accelerator: a Redis module with one command, which does what register.lua does, to the same
 * keys. */
#include "answer.h"
#include "batch.h"
#include "call.h"
#include "keys.h"
#include "module_api.h"
#include "shard.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MODULE_NAME "tally"
#define MODULE_VERSION 1
#define COMMAND "tally.register"
#define SLOT_MOVES "TRYAGAIN the shard is on its way to another node of the cluster"

/* Redis gives a command nothing of ours, so this is the module's only variable. It is written once,
 * when the module is loaded. */
static struct module {
    struct module_api api;
    bool effects; /* replicate by effects, not by calls */
} module;

/* While a slot moves key by key, its old node refuses a key that it does not have: the new one may
 * have it. Opening a key does not ask; a command does. */
static bool slot_moves(RedisModuleCtx *ctx, const struct call *call, int flags)
{
    static const char moving[] = "moving"; /* never stored */
    char name[CALL_PREFIX_MAX_BYTES + sizeof moving];
    if (!(flags & MODULE_API_CONTEXT_CLUSTER) ||
        flags & (MODULE_API_CONTEXT_REPLICATED | MODULE_API_CONTEXT_LOADING))
        return false;
    snprintf(name, sizeof name, "%.*s%s", (int)call->prefix_bytes, call->prefix, moving);
    RedisModuleCallReply *reply = module.api.call(ctx, "EXISTS", "c", name);
    if (reply != NULL)
        module.api.free_call_reply(reply);
    return reply == NULL;
}

/* The call with its clock, so that a replica gives the same versions. */
static void replicate_call(RedisModuleCtx *ctx, const struct call *call, RedisModuleString **argv,
                           int argc)
{
    const long long clock_us = (long long)call->clock_us;
    RedisModuleString **rest = argv + CALL_CLOCK + 1;
    size_t fixed = CALL_FIRST_ARTICLE - CALL_CLOCK - 1, bytes;
    unsigned char *packed = call->packed ? NULL : call_pack(call, &module.api, &bytes);
    if (packed != NULL)
        module.api.replicate(ctx, COMMAND, "lvb", clock_us, rest, fixed, packed, bytes);
    else
        module.api.replicate(ctx, COMMAND, "lv", clock_us, rest, (size_t)(argc - CALL_CLOCK - 1));
    if (packed != NULL)
        module.api.free(packed);
}

static void apply(struct keys *keys, const struct call *call, struct answer *answer)
{
    struct shard shard;
    if (shard_open(&shard, keys, call, answer)) {
        answer->superseded = module.api.alloc(call->votes * ANSWER_SUPERSEDED_BYTES + 1);
        batch_apply(&shard, keys, call, answer);
        shard_hint(&shard);
    }
    answer_send(answer, &module.api, keys->ctx);
    if (answer->superseded != NULL)
        module.api.free(answer->superseded);
    shard_close(&shard);
}

/* `TALLY.REGISTER how`: tells a caller that the command is here, that it may use it, and how calls
 * are replicated. */
static bool asks_how(RedisModuleString **argv, int argc)
{
    size_t bytes;
    const char *word = argc == 2 ? module.api.string_ptr_len(argv[1], &bytes) : "";
    return argc == 2 && bytes == 3 && memcmp(word, "how", 3) == 0;
}

static int register_command(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    char error[CALL_ERROR_BYTES];
    struct call call;
    struct answer answer = {.what = ANSWER_OK, .split_error = ""};
    struct keys keys = {.api = &module.api, .ctx = ctx, .effects = module.effects};
    if (asks_how(argv, argc)) {
        const char *how = module.effects ? "effects" : "calls";
        return module.api.reply_with_string_buffer(ctx, how, strlen(how));
    }
    if (call_read(&call, &module.api, argv, argc, error) != 0)
        return module.api.reply_with_error(ctx, error);
    if (slot_moves(ctx, &call, module.api.get_context_flags(ctx))) {
        answer_error(&answer, SLOT_MOVES, 0);
        answer_send(&answer, &module.api, ctx);
        return MODULE_API_OK;
    }
    apply(&keys, &call, &answer);
    if (keys.wrote && !keys.effects)
        replicate_call(ctx, &call, argv, argc);
    return MODULE_API_OK;
}

/* `replicate effects` is the only argument there is. */
static bool read_arguments(RedisModuleString **argv, int argc)
{
    static const char *const words[] = {"replicate", "effects"};
    for (int i = 0; i < argc; i++) {
        size_t bytes;
        const char *text = module.api.string_ptr_len(argv[i], &bytes);
        if (i > 1 || bytes != strlen(words[i]) || memcmp(text, words[i], bytes) != 0)
            return false;
    }
    module.effects = argc == 2;
    return argc != 1;
}

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc);

int RedisModule_OnLoad(RedisModuleCtx *ctx, RedisModuleString **argv, int argc)
{
    const char *missing = module_api_find(&module.api, ctx);
    if (missing != NULL) {
        fprintf(stderr, "tally-redis.so: this server has no %s; it needs Redis 7 or Valkey\n",
                missing);
        return MODULE_API_ERR;
    }
    module.api.set_module_attribs(ctx, MODULE_NAME, MODULE_VERSION, MODULE_API_VERSION);
    if (!read_arguments(argv, argc)) {
        fprintf(stderr, "tally-redis.so: its arguments are none, or: replicate effects\n");
        return MODULE_API_ERR;
    }
    if (module.api.create_command(ctx, COMMAND, register_command, "write deny-oom", CALL_FIRST_KEY,
                                  CALL_LAST_KEY, 1) != MODULE_API_OK)
        return MODULE_API_ERR;
    /* Redis 7.0 gives a module's command no category. */
    return module.api.set_command_acl_categories == NULL
               ? MODULE_API_OK
               : module.api.set_command_acl_categories(module.api.get_command(ctx, COMMAND),
                                                       "write slow");
}

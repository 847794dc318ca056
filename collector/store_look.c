/* Asks, and parses the answers. A question without an answer ends when its place gets
 * another owner (store_look_reset). */
#include "store_look.h"

#include "replica_wait.h"

#include "daemon/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store_look {
    struct store_look_config config;
    struct store found;
    struct replica_wait wait;
    bool busy, again;
    uint64_t began_ms;
    uint64_t asked;
};

struct store_look *store_look_new(const struct store_look_config *config)
{
    struct store_look *look = calloc(1, sizeof *look);
    if (look == NULL)
        return NULL;
    look->config = *config;
    look->wait.optional = config->wait_optional;
    return look;
}

void store_look_free(struct store_look *look)
{
    free(look);
}

bool store_look_busy(const struct store_look *look)
{
    return look->busy;
}

uint64_t store_look_asked(const struct store_look *look)
{
    return look->asked;
}

uint64_t store_look_began_ms(const struct store_look *look)
{
    return look->began_ms;
}

void store_look_reset(struct store_look *look)
{
    look->busy = look->again = false;
}

static void store_look_ask(struct store_look *look, redis_link_cb *fn, int argc,
                           const char *const *argv)
{
    const char *words[STORE_CALL_WORDS];
    size_t bytes[STORE_CALL_WORDS];
    for (int i = 0; i < argc; i++) {
        words[i] = argv[i];
        bytes[i] = strlen(argv[i]);
    }
    look->asked++;
    look->busy =
        redis_nodes_send(look->config.nodes, REDIS_PLACE_STORE, fn, look, argc, words, bytes) == 0;
}

/* --- answers --- */

/* The callback may have asked the next question. */
static void end_look(struct store_look *look)
{
    if (look->again && !look->busy)
        store_look_begin(look);
}

static void store_look_fail(struct store_look *look, const char *error, const char *why)
{
    char text[STORE_WHY_BYTES];
    if (redis_nodes_moving(look->config.nodes, error))
        return;
    snprintf(text, sizeof text, "%s", why);
    look->config.on_failed(look->config.user, text);
}

static void take_fields(struct store_look *look, const redisReply *reply, bool after_script)
{
    char why[STORE_WHY_BYTES];
    look->busy = false;
    if (reply->type == REDIS_REPLY_ARRAY) {
        store_init(&look->found);
        for (size_t i = 0; i + 1 < reply->elements; i += 2) {
            const redisReply *name = reply->element[i], *value = reply->element[i + 1];
            store_field(&look->found, name->str, (size_t)name->len, value->str, (size_t)value->len);
        }
        look->config.on_found(look->config.user, &look->found, after_script);
    } else {
        const char *error = reply->type == REDIS_REPLY_ERROR ? reply->str : NULL;
        snprintf(why, sizeof why, "store: %s", error != NULL ? error : "unexpected reply");
        store_look_fail(look, error, why);
    }
    end_look(look);
}

static void on_fields(void *user, const redisReply *answer)
{
    if (answer != NULL)
        take_fields(user, answer, false);
}

static void on_script(void *user, const redisReply *answer)
{
    if (answer != NULL)
        take_fields(user, answer, true);
}

static void on_waited(void *user, const redisReply *answer)
{
    struct store_look *look = user;
    char why[STORE_WHY_BYTES];
    if (answer == NULL)
        return;
    look->busy = false;
    if (replica_wait_answered(&look->wait, answer, why))
        look->config.on_replicated(look->config.user);
    else
        store_look_fail(look, answer->type == REDIS_REPLY_ERROR ? answer->str : NULL, why);
    end_look(look);
}

/* --- questions --- */

void store_look_begin(struct store_look *look)
{
    char key[REDIS_KEY_BYTES];
    const char *const argv[] = {"HGETALL", key};
    look->again = look->busy;
    if (look->busy)
        return;
    redis_key(key, redis_nodes_prefix(look->config.nodes), REDIS_PLACE_STORE, NULL);
    look->began_ms = clock_monotonic_ms();
    store_look_ask(look, on_fields, 2, argv);
}

void store_look_call(struct store_look *look, const struct store_call *call, bool keeps)
{
    store_look_ask(look, on_script, call->n, call->word);
    look->wait.needs_wait = look->wait.needs_wait || keeps;
}

bool store_look_replicate(struct store_look *look, unsigned replicas)
{
    const char *words[REPLICA_WAIT_WORDS];
    if (!replica_wait_due(&look->wait, replicas, words))
        return false;
    store_look_ask(look, on_waited, REPLICA_WAIT_WORDS, words);
    return true;
}

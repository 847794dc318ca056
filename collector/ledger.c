/* Calls fold.lua for drained rings, and for rings that a crash left unfolded after their file was
 * deleted. */
#include "ledger.h"

#include "apply.h"

#include "daemon/log.h"
#include "spool/spool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 1000

extern const unsigned char fold_lua[];
extern const unsigned long fold_lua_bytes;

struct ledger {
    struct ledger_config config;
    struct {
        uint64_t folds; /* asked for */
        bool awaited;   /* its rings were asked for */
        bool swept, asked;
        uint64_t generation; /* in which it was swept: a later one may have lost the folds */
        uint64_t asked_ms;
    } shard[SPOOL_SHARDS_MAX];
};

/* One shard's rings, or one of its folds. */

struct question {
    struct ledger *ledger;
    unsigned shard;
    uint64_t edge_id, folds;
};

struct ledger *ledger_new(const struct ledger_config *config)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger != NULL)
        ledger->config = *config;
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    free(ledger);
}

static uint64_t generation_of(const struct ledger *ledger, unsigned shard)
{
    return session_generation(ledger->config.session, shard);
}

static void on_folded(void *user, const redisReply *reply)
{
    struct question *question = user;
    struct ledger *ledger = question->ledger;
    if (reply == NULL ||
        (reply->type == REDIS_REPLY_ERROR && session_moving(ledger->config.session, reply->str)))
        ledger->shard[question->shard].swept = false; /* the next sweep finds out */
    else if (reply->type == REDIS_REPLY_ERROR)
        log_line(LOG_LEVEL_WARNING, "cannot add a ring's numbers to the books", "error=%s",
                 reply->str);
    free(question);
}

static struct question *question_new(struct ledger *ledger, unsigned shard, uint64_t edge_id)
{
    struct question *question = malloc(sizeof *question);
    if (question != NULL)
        *question = (struct question){ledger, shard, edge_id, ledger->shard[shard].folds};
    return question;
}

void ledger_fold(struct ledger *ledger, unsigned shard, uint64_t ring_id)
{
    char rings[REDIS_KEY_BYTES], books[REDIS_KEY_BYTES], ring[17];
    redis_key(rings, session_prefix(ledger->config.session), shard, "rings");
    redis_key(books, session_prefix(ledger->config.session), shard, "books");
    snprintf(ring, sizeof ring, "%016" PRIx64, ring_id);
    const char *argv[] = {"EVAL", (const char *)fold_lua, "2", rings, books, ring};
    const size_t bytes[] = {4,           (size_t)fold_lua_bytes, 1, strlen(rings), strlen(books),
                            strlen(ring)};
    struct question *question = question_new(ledger, shard, 0);
    ledger->shard[shard].folds++;
    if (question != NULL &&
        session_send(ledger->config.session, shard, on_folded, question, 6, argv, bytes) == 0)
        return;
    free(question);
    ledger->shard[shard].swept = false;
}

static bool is_gone(const struct question *question, const redisReply *ring,
                    const redisReply *value, uint64_t *ring_id)
{
    const struct ledger_config *config = &question->ledger->config;
    struct apply_position position;
    *ring_id = strtoull(ring->str, NULL, 16);
    return apply_read_position(&position, value->str, (size_t)value->len) == 0 &&
           position.edge == question->edge_id &&
           !config->here(config->user, question->shard, *ring_id);
}

/* Whether the answer is still current. It still lists a ring that was folded since the request; a
 * ring that was renamed since, and is not open again, would be folded before it is drained. */
static bool is_current(const struct question *question)
{
    const struct ledger *ledger = question->ledger;
    return question->folds == ledger->shard[question->shard].folds &&
           ledger->config.complete(ledger->config.user);
}

static void fold_gone(const struct question *question, const redisReply *reply)
{
    uint64_t ring_id;
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (is_gone(question, reply->element[i], reply->element[i + 1], &ring_id))
            ledger_fold(question->ledger, question->shard, ring_id);
}

static void on_rings(void *user, const redisReply *reply)
{
    struct question *question = user;
    struct ledger *ledger = question->ledger;
    ledger->shard[question->shard].awaited = false;
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && is_current(question)) {
        ledger->shard[question->shard].swept = true;
        ledger->shard[question->shard].generation = generation_of(ledger, question->shard);
        fold_gone(question, reply);
    }
    free(question);
}

static void ledger_ask(struct ledger *ledger, unsigned shard, uint64_t edge_id)
{
    char key[REDIS_KEY_BYTES];
    struct question *question = question_new(ledger, shard, edge_id);
    if (question == NULL)
        return;
    redis_key(key, session_prefix(ledger->config.session), shard, "rings");
    const char *argv[] = {"HGETALL", key};
    const size_t bytes[] = {7, strlen(key)};
    ledger->shard[shard].awaited =
        session_send(ledger->config.session, shard, on_rings, question, 2, argv, bytes) == 0;
    if (!ledger->shard[shard].awaited)
        free(question);
}

static bool is_due(const struct ledger *ledger, unsigned shard, uint64_t now_ms)
{
    if (ledger->shard[shard].awaited ||
        (ledger->shard[shard].swept &&
         ledger->shard[shard].generation == generation_of(ledger, shard)))
        return false;
    return (!ledger->shard[shard].asked || now_ms - ledger->shard[shard].asked_ms >= AGAIN_MS) &&
           session_ready(ledger->config.session, shard);
}

void ledger_sweep(struct ledger *ledger, unsigned shards, uint64_t edge_id, uint64_t now_ms)
{
    for (unsigned i = 0; i < shards; i++) {
        if (!is_due(ledger, i, now_ms) || !ledger->config.complete(ledger->config.user))
            continue;
        ledger->shard[i].asked = true;
        ledger->shard[i].asked_ms = now_ms;
        ledger_ask(ledger, i, edge_id);
    }
}

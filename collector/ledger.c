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
    uint64_t folds[SPOOL_SHARDS_MAX]; /* asked for, a shard */
    unsigned awaited;                 /* shards whose rings were asked for */
    bool asked, swept, again;
    uint64_t asked_ms;
};

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

static void on_folded(void *user, const redisReply *reply)
{
    struct ledger *ledger = user;
    if (reply == NULL)
        ledger->swept = false; /* the next sweep finds out whether it was done */
    else if (reply->type == REDIS_REPLY_ERROR)
        log_line(LOG_LEVEL_WARNING, "a ring's numbers were not added to the books", "error=%s",
                 reply->str);
}

void ledger_fold(struct ledger *ledger, unsigned shard, uint64_t ring_id)
{
    char rings[32], books[32], ring[17];
    snprintf(rings, sizeof rings, "tally:{%u}:rings", shard);
    snprintf(books, sizeof books, "tally:{%u}:books", shard);
    snprintf(ring, sizeof ring, "%016" PRIx64, ring_id);
    const char *argv[] = {"EVAL", (const char *)fold_lua, "2", rings, books, ring};
    const size_t bytes[] = {4,           (size_t)fold_lua_bytes, 1, strlen(rings), strlen(books),
                            strlen(ring)};
    ledger->folds[shard]++;
    if (session_send(ledger->config.session, on_folded, ledger, 6, argv, bytes) != 0)
        ledger->swept = false;
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
    return question->folds == ledger->folds[question->shard] &&
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
    ledger->awaited--;
    bool good = reply != NULL && reply->type == REDIS_REPLY_ARRAY && is_current(question);
    if (!good)
        ledger->again = true;
    if (ledger->awaited == 0)
        ledger->swept = !ledger->again;
    if (good)
        fold_gone(question, reply);
    free(question);
}

static void ledger_ask(struct ledger *ledger, unsigned shard, uint64_t edge_id)
{
    char key[32];
    struct question *question = malloc(sizeof *question);
    if (question == NULL) {
        ledger->again = true;
        return;
    }
    *question = (struct question){ledger, shard, edge_id, ledger->folds[shard]};
    snprintf(key, sizeof key, "tally:{%u}:rings", shard);
    const char *argv[] = {"HGETALL", key};
    const size_t bytes[] = {7, strlen(key)};
    if (session_send(ledger->config.session, on_rings, question, 2, argv, bytes) == 0) {
        ledger->awaited++;
        return;
    }
    ledger->again = true;
    free(question);
}

void ledger_sweep(struct ledger *ledger, unsigned shards, uint64_t edge_id, uint64_t now_ms)
{
    if (ledger->swept || ledger->awaited > 0 ||
        (ledger->asked && now_ms - ledger->asked_ms < AGAIN_MS) ||
        !session_ready(ledger->config.session) || !ledger->config.complete(ledger->config.user))
        return;
    ledger->asked = true;
    ledger->asked_ms = now_ms;
    ledger->again = false;
    for (unsigned i = 0; i < shards; i++)
        ledger_ask(ledger, i, edge_id);
}

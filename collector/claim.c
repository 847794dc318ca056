/* Calls claim.lua, a shard at a time. A shard names the store in the generation in which it
 * answered, and in no other. */
#include "claim.h"

#include "daemon/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 1000
#define WHY_BYTES 160

extern const unsigned char claim_lua[];
extern const unsigned long claim_lua_bytes;

struct claim_shard {
    struct claim *claim;
    unsigned number;
    bool asking, done;
    uint64_t store_id, generation; /* asked for */
    uint64_t asked_ms, moment;     /* moment: node_moment at the answer */
    char why[WHY_BYTES];
};

struct claim {
    struct claim_config config;
    uint64_t store_id;
    unsigned shards;
    uint64_t known; /* see claim_store; of this store */
    struct claim_shard shard[REDIS_PLACE_STORE];
};

struct claim *claim_new(const struct claim_config *config)
{
    struct claim *claim = calloc(1, sizeof *claim);
    if (claim == NULL)
        return NULL;
    claim->config = *config;
    for (unsigned i = 0; i < REDIS_PLACE_STORE; i++) {
        claim->shard[i].claim = claim;
        claim->shard[i].number = i;
    }
    return claim;
}

void claim_free(struct claim *claim)
{
    free(claim);
}

void claim_store(struct claim *claim, uint64_t store_id, unsigned shards, uint64_t known)
{
    claim->known = known | (store_id == claim->store_id ? claim->known : 0);
    if (store_id != claim->store_id)
        for (unsigned i = 0; i < REDIS_PLACE_STORE; i++) {
            claim->shard[i].done = false;
            claim->shard[i].asked_ms = 0;
            claim->shard[i].why[0] = '\0';
        }
    claim->store_id = store_id;
    claim->shards = shards < REDIS_PLACE_STORE ? shards : REDIS_PLACE_STORE;
}

static bool is_current(const struct claim_shard *shard)
{
    const struct claim *claim = shard->claim;
    return shard->store_id == claim->store_id &&
           shard->generation == redis_nodes_generation(claim->config.nodes, shard->number);
}

/* NULL: the shard names the store. */
static const char *refusal(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return "unexpected reply from claim.lua";
    if (strcmp(reply->element[0]->str, "ok") == 0)
        return NULL;
    return reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_STRING
               ? reply->element[1]->str
               : "unexpected reply from claim.lua";
}

static void claim_done_by(struct claim_shard *shard, const struct node *node)
{
    shard->done = true;
    shard->moment = node_moment(node);
    shard->why[0] = '\0';
}

static void on_claimed(void *user, const redisReply *reply)
{
    struct claim_shard *shard = user;
    struct claim *claim = shard->claim;
    const struct node *node = claim->config.node(claim->config.user, shard->number);
    shard->asking = false;
    if (reply == NULL || shard->store_id != claim->store_id || node == NULL) {
        shard->asked_ms = 0;
        return;
    }
    const char *why = refusal(reply);
    if (why == NULL) {
        claim_done_by(shard, node);
        return;
    }
    (void)redis_nodes_moving(claim->config.nodes,
                             reply->type == REDIS_REPLY_ERROR ? reply->str : NULL);
    if (strcmp(shard->why, why) != 0)
        log_line(LOG_LEVEL_ERROR, "cannot claim a shard for the store", "shard=%u reason=%s",
                 shard->number, why);
    snprintf(shard->why, sizeof shard->why, "%s", why);
}

static void claim_ask(struct claim *claim, struct claim_shard *shard, uint64_t now_ms)
{
    char key[3][REDIS_KEY_BYTES], store[17];
    static const char *const names[] = {"meta", "rings", "books"};
    const char *argv[] = {"EVAL", (const char *)claim_lua,
                          "3",    key[0],
                          key[1], key[2],
                          store,  claim->known >> shard->number & 1 ? "known" : "new"};
    size_t bytes[8];
    for (int i = 0; i < 3; i++)
        redis_key(key[i], redis_nodes_prefix(claim->config.nodes), shard->number, names[i]);
    snprintf(store, sizeof store, "%016" PRIx64, claim->store_id);
    for (int i = 0; i < 8; i++)
        bytes[i] = strlen(argv[i]);
    shard->store_id = claim->store_id;
    shard->generation = redis_nodes_generation(claim->config.nodes, shard->number);
    shard->done = false;
    shard->asked_ms = now_ms;
    shard->asking = redis_nodes_send(claim->config.nodes, shard->number, on_claimed, shard, 8, argv,
                                     bytes) == 0;
}

void claim_tick(struct claim *claim, uint64_t now_ms, uint64_t placed)
{
    for (unsigned i = 0; i < claim->shards; i++) {
        struct claim_shard *shard = &claim->shard[i];
        bool due = shard->asked_ms == 0 || !is_current(shard) ||
                   (!shard->done && now_ms - shard->asked_ms >= AGAIN_MS);
        if (due && !shard->asking && !(placed >> i & 1) &&
            claim->config.node(claim->config.user, i) != NULL)
            claim_ask(claim, shard, now_ms);
    }
}

void claim_adopted(struct claim *claim, unsigned shard)
{
    struct claim_shard *its = &claim->shard[shard];
    const struct node *node = claim->config.node(claim->config.user, shard);
    if (node == NULL)
        return;
    its->store_id = claim->store_id;
    its->generation = redis_nodes_generation(claim->config.nodes, shard);
    its->asked_ms = UINT64_MAX; /* it need not be asked */
    claim_done_by(its, node);
}

bool claim_done(const struct claim *claim, unsigned shard)
{
    return shard < claim->shards && claim->shard[shard].done && is_current(&claim->shard[shard]);
}

const char *claim_why(const struct claim *claim, unsigned shard)
{
    return claim->shard[shard].why;
}

uint64_t claim_settled(struct claim *claim)
{
    uint64_t settled = 0;
    for (unsigned i = 0; i < claim->shards; i++) {
        const struct node *node = claim->config.node(claim->config.user, i);
        if (claim_done(claim, i) && node != NULL &&
            (node_replicas(node) == 0 || node_replicated(node) >= claim->shard[i].moment))
            settled |= UINT64_C(1) << i;
    }
    claim->known |= settled;
    return settled;
}

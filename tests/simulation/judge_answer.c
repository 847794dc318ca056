/* What a collector has sent and was told: where it continues, whose answers count, which receipts
 * it may give. */
#include "cluster.h"
#include "judge_state.h"
#include "redis_command.h"
#include "redis_scripts.h"

#include "core/bytes.h"
#include "redis/redis_map.h"

#include <stdlib.h>
#include <string.h>

static struct judge_going *pipeline_of(const struct redis_words *words, uint64_t *ring_id)
{
    bool call = redis_command_is_batch(words);
    if (!call && !redis_command_is_position(words))
        return NULL;
    *ring_id = strtoull(words->word[redis_scripts_argv(words)], NULL, 16);
    unsigned shard = (unsigned)strtoul(words->word[3] + strlen("tally:{"), NULL, 10);
    for (int i = 0; i < FILES_MAX; i++)
        if (files[i].used && files[i].name == FILES_RING && files[i].id == *ring_id)
            return &judge.pipelines[platform_now->edge][shard];
    return NULL;
}

void judge_answer_sent(const struct redis_words *words)
{
    uint64_t ring_id;
    if (platform_now->kind == PLATFORM_COLLECTOR)
        judge_kinds_sent(platform_now->edge, words);
    struct judge_going *pipeline = pipeline_of(words, &ring_id);
    if (pipeline == NULL)
        return;
    if (pipeline->ring_id != ring_id)
        *pipeline = (struct judge_going){.ring_id = ring_id};
    if (redis_command_is_position(words))
        pipeline->going = false;
    pipeline->in_flight += redis_command_is_batch(words);
    if (redis_command_is_batch(words))
        pipeline->sent_to = bytes_get_u64(words->word[redis_scripts_argv(words) + 2]);
}

/* Whether a position was answered, and not a refusal. */
static bool is_position(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           strcmp(reply->element[0]->str, "at") == 0;
}

static bool is_question(const struct redis_words *words, const char *second)
{
    return words->n == 2 && strcmp(words->word[0], "CLUSTER") == 0 &&
           strcmp(words->word[1], second) == 0;
}

/* Each failover and each move raises the epoch, and a collector that hears of it must follow it.
 * After a long silence it may believe an older answer, too: whether it then has anything to do is
 * not judged before the owner that it believes in was asked for the position. */
static void note_owners(unsigned link, const struct redis_words *words, const redisReply *reply)
{
    unsigned edge = platform_now->edge;
    if (platform_now->kind != PLATFORM_COLLECTOR || reply == NULL)
        return;
    if (is_question(words, "INFO") && reply->type == REDIS_REPLY_STRING) {
        const char *epoch = strstr(reply->str, "cluster_current_epoch:");
        judge.view[link].sound = strstr(reply->str, "cluster_state:ok") != NULL;
        judge.view[link].epoch = epoch != NULL ? strtoull(strchr(epoch, ':') + 1, NULL, 10) : 0;
    }
    if (!is_question(words, "SLOTS") || reply->type != REDIS_REPLY_ARRAY)
        return;
    struct judge_heard *heard = &judge.heard[edge];
    bool newer = judge.view[link].sound && judge.view[link].epoch >= heard->epoch;
    if (newer) {
        heard->epoch = judge.view[link].epoch;
        heard->us = world.us;
    } else if (world.us - heard->us >= UINT64_C(1000) * REDIS_BELIEF_MS) {
        heard->epoch = 0;
    }
    for (unsigned s = 0; s < REDIS_PARTS; s++) {
        int owner = cluster_owner_in(reply, s);
        if (newer)
            heard->owner[s] = owner;
        if (s < WORLD_SHARDS && judge.pipelines[edge][s].server != (unsigned)owner)
            judge.pipelines[edge][s].going = false;
    }
}

/* Whether the collector has heard that another server owns the shard. */
static bool is_former(unsigned edge, unsigned shard, unsigned server)
{
    return judge.heard[edge].epoch > 0 && judge.heard[edge].owner[shard] != (int)server;
}

/* A shard that refuses the store, perhaps because its memory is full, is not applied to. */
static void note_claim(const struct redis_words *words, const redisReply *reply)
{
    if (!redis_command_is_claim(words) || reply == NULL ||
        (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1))
        return;
    unsigned shard = (unsigned)strtoul(words->word[3] + strlen("tally:{"), NULL, 10);
    judge.pipelines[platform_now->edge][shard].going = false;
}

static void note_store(unsigned server, const struct redis_words *words, const redisReply *reply)
{
    if (platform_now->kind == PLATFORM_COLLECTOR && reply != NULL &&
        reply->type == REDIS_REPLY_ARRAY && redis_command_reads_store(words) &&
        !is_former(platform_now->edge, REDIS_OF_STORE, server))
        judge_kinds_read(platform_now->edge, reply);
}

static bool is_applied_answer(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 6;
}

/* Receipts may be given for what the call covers, which may begin before the position. */
static void note_vouched(unsigned server, const struct redis_words *words, const redisReply *reply)
{
    if (!redis_command_is_batch(words) || !is_applied_answer(reply))
        return;
    const char *const *argument = words->word + redis_scripts_argv(words);
    uint64_t ring_id = strtoull(argument[0], NULL, 16);
    uint64_t to = bytes_get_u64(argument[2]);
    for (unsigned i = 0; i < judge.n_requests; i++) {
        struct judge_request *request = &judge.requests[i];
        if (request->ring_id == ring_id && request->position < to &&
            !is_former(request->edge, request->shard, server))
            request->vouched |= request->truths[server];
    }
}

/* What a server has told a collector about a ring: the position that it asked for, and batches
 * after it. What another server answers says nothing about this one. */
static void note_answer(unsigned server, const struct redis_words *words, const redisReply *reply)
{
    bool batch = redis_command_is_batch(words);
    if (!batch && !redis_command_is_position(words))
        return;
    struct judge_ring *ring =
        judge_request_ring(strtoull(words->word[redis_scripts_argv(words)], NULL, 16));
    const struct files_ring *file = files_find(ring->id);
    if (file == NULL)
        return;
    if (!batch && is_position(reply)) {
        ring->read = ring_read_position(file->memory);
        ring->answered = reply->element[1]->len > 0 ? bytes_get_u64(reply->element[1]->str) : 0;
        ring->server = server;
        ring->asked = true;
    } else if (batch && is_applied_answer(reply) && ring->asked && ring->server == server &&
               !is_former(file->edge, file->shard, server)) {
        uint64_t to = bytes_get_u64(words->word[redis_scripts_argv(words) + 2]);
        if (to > ring->answered)
            ring->answered = to;
    }
}

void judge_answer_came(unsigned link, unsigned server, const struct redis_words *words,
                       const redisReply *reply)
{
    uint64_t ring_id;
    note_owners(link, words, reply);
    note_vouched(server, words, reply);
    note_answer(server, words, reply);
    note_claim(words, reply);
    note_store(server, words, reply);
    struct judge_going *pipeline = pipeline_of(words, &ring_id);
    if (pipeline == NULL || pipeline->ring_id != ring_id)
        return;
    if (!redis_command_is_batch(words)) {
        unsigned edge = platform_now->edge;
        unsigned shard = (unsigned)(pipeline - judge.pipelines[edge]);
        pipeline->going = is_position(reply) && !is_former(edge, shard, server);
        pipeline->server = server;
        pipeline->sent_to = pipeline->going && reply->element[1]->len > 0
                                ? bytes_get_u64(reply->element[1]->str)
                                : 0;
    } else {
        pipeline->in_flight -= pipeline->in_flight > 0;
        if (!is_applied_answer(reply))
            pipeline->going = false;
    }
}

void judge_answer_link_lost(const struct event_base *process, unsigned server)
{
    for (unsigned s = 0; s < WORLD_SHARDS && process->kind == PLATFORM_COLLECTOR; s++)
        if (judge.pipelines[process->edge][s].server == server)
            judge.pipelines[process->edge][s].going = false;
}

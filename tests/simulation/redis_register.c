/* register.lua, step by step. */
#include "redis_scripts.h"

#include "calls.h"
#include "judge.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOTE_BYTES 15
#define VOTES_MAX 64
#define WRONG_TYPE "WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_LOCAL "ERR Script attempted to access a non local key in a cluster node"

struct call {
    struct redis_shard *shard;
    unsigned number; /* of the shard */
    uint64_t ring, from, to, sequence, quarantined, lost, edge, store;
    uint32_t threshold;
    bool renew;
    uint64_t last_version;
    uint32_t last_number;
    long long news, changes, repeats;
    unsigned index;
    unsigned char superseded[3 * VOTES_MAX];
    size_t superseded_bytes;
    const char *failure;
    size_t failed_article;
    uint64_t now;
};

static uint64_t next_version(struct call *call)
{
    if (call->now == 0)
        call->now = world_redis_us();
    call->last_version = call->last_version + 1 > call->now ? call->last_version + 1 : call->now;
    return call->last_version;
}

/* Linear hashing: moves three quarters of bucket `from` to their own. */
static void split_bucket(struct redis_shard *shard, uint32_t of, uint32_t from, uint32_t size)
{
    for (uint32_t i = 0; i < shard->registers; i++) {
        struct redis_register *reg = &shard->reg[i];
        if (reg->number == of && reg->bucket == from)
            reg->bucket = (uint32_t)reg->reader % (size * 4);
    }
}

/* What a value counts as, where the article has a floor. */
static unsigned counts_as(const struct redis_head *head, uint64_t value)
{
    if (head->floored && value >> 4 <= head->floor)
        return 0;
    return value & 15;
}

/* A reader's first vote on the article. */
static void vote_new(struct call *call, struct redis_head *head, uint32_t bucket, uint64_t reader,
                     uint64_t value, bool *moved)
{
    struct redis_shard *shard = call->shard;
    if (shard->registers == REDIS_REGISTERS)
        abort();
    shard->reg[shard->registers++] = (struct redis_register){head->number, bucket, reader, value};
    call->news++;
    head->voters++;
    unsigned kind = counts_as(head, value);
    if (kind != 0) {
        head->count[kind]++;
        *moved = true;
    }
    uint32_t size = redis_buckets(head->level);
    if (head->voters > call->threshold * (size + 3 * head->split)) {
        split_bucket(shard, head->number, head->split, size);
        if (++head->split == size) {
            head->level++;
            head->split = 0;
        }
    }
}

/* A further one: the newer wins. */
static void vote_again(struct call *call, struct redis_head *head, struct redis_register *reg,
                       uint64_t value, bool *moved)
{
    uint64_t old = reg->value;
    if (value == old) {
        call->repeats++;
    } else if (value < old) {
        bytes_put_u16(call->superseded + call->superseded_bytes, (uint16_t)call->index);
        call->superseded[call->superseded_bytes + 2] = (unsigned char)(old & 15);
        call->superseded_bytes += 3;
    } else {
        reg->value = value;
        call->changes++;
        unsigned was = counts_as(head, old), kind = counts_as(head, value);
        if (kind != was) {
            if (was != 0)
                head->count[was]--;
            if (kind != 0)
                head->count[kind]++;
            *moved = true;
        }
    }
}

static void write_head(struct call *call, unsigned article, struct redis_head *head, bool moved)
{
    struct redis_head *stored = &call->shard->head[article];
    if (moved || call->renew || !head->exists) {
        head->version = next_version(call);
        call->shard->changed[article] = head->version;
        judge_commit_version(call->number, article, head->version);
    }
    if (!head->exists)
        call->last_number = head->number;
    head->exists = true;
    *stored = *head;
}

/* Why an article's registers cannot be reached, or NULL. While the slot moves, those that went
 * ahead are elsewhere, and so is any new key. */
static const char *unreachable(const struct call *call, unsigned article, bool exists)
{
    if (redis.poisoned[call->number] == (int)article)
        return WRONG_TYPE;
    if (redis.moves_to[call->number] >= 0 &&
        (!exists || redis.moved_article[call->number] == (int)article))
        return NOT_LOCAL;
    return NULL;
}

/* All votes of one article. */
static void votes_of_article(struct call *call, unsigned article, const unsigned char *blob,
                             size_t bytes)
{
    struct redis_head head = call->shard->head[article];
    bool moved = false, dirty = false;
    if (!head.exists)
        head.number = call->last_number + 1;
    for (size_t at = 0; at < bytes; at += VOTE_BYTES) {
        uint64_t reader = bytes_get_u64(blob + at), value = 0;
        long long news = call->news;
        call->failure = unreachable(call, article, head.exists);
        if (call->failure != NULL)
            break;
        for (int i = 0; i < 7; i++)
            value = value << 8 | blob[at + 8 + i];
        uint32_t bucket = redis_bucket(reader, redis_buckets(head.level), head.split);
        struct redis_register *reg = redis_register(call->shard, head.number, bucket, reader);
        uint64_t before = reg != NULL ? reg->value : 0;
        if (reg == NULL)
            vote_new(call, &head, bucket, reader, value, &moved);
        else
            vote_again(call, &head, reg, value, &moved);
        dirty = dirty || moved || call->news > news;
        reg = redis_register(call->shard, head.number,
                             redis_bucket(reader, redis_buckets(head.level), head.split), reader);
        judge_commit_vote(call->number, article, reader, value, before,
                          reg != NULL ? reg->value : 0);
        call->index++;
    }
    if (dirty || (call->renew && head.exists))
        write_head(call, article, &head, moved);
}

static void read_call(struct call *call, const struct redis_words *words)
{
    const char *const *argument = words->word + redis_scripts_argv(words) - 1;
    memset(call, 0, sizeof *call);
    call->number = (unsigned)strtoul(argument[8], NULL, 10);
    call->shard = redis_shard(call->number);
    call->ring = strtoull(argument[1], NULL, 16);
    call->from = bytes_get_u64(argument[2]);
    call->to = bytes_get_u64(argument[3]);
    call->sequence = bytes_get_u64(argument[3] + 8);
    call->quarantined = strtoull(argument[4], NULL, 10);
    call->lost = strtoull(argument[5], NULL, 10);
    call->edge = bytes_get_u64(argument[6]);
    call->threshold = (uint32_t)strtoul(argument[7], NULL, 10);
    call->renew = argument[9][0] == '1';
    call->store = strtoull(argument[10], NULL, 16);
    call->last_version = call->shard->version;
    call->last_number = call->shard->articles;
}

static void move_position(struct call *call, struct redis_ring *ring)
{
    struct redis_ring moved = {.id = call->ring,
                               .position = call->to,
                               .sequence = call->sequence,
                               .quarantined = call->quarantined,
                               .lost = call->lost,
                               .edge = call->edge};
    if (ring == NULL) {
        ring = redis_find_ring(call->number, 0);
        if (ring == NULL)
            abort();
    } else {
        moved.quarantined += ring->quarantined;
        moved.lost += ring->lost;
    }
    moved.voted = ring->voted + judge_commit_voted();
    judge_commit_position(call->number, call->store, ring->id == 0 ? NULL : ring, &moved);
    *ring = moved;
}

static void answer_call(const struct call *call, struct redis_reply *reply)
{
    redisReply *all = redis_reply_array(reply, call->failure != NULL ? 3 : 6);
    if (call->failure != NULL) {
        all->element[0] = redis_reply_words(reply, "error");
        all->element[1] = redis_reply_words(reply, call->failure);
        all->element[2] = redis_reply_number(reply, (long long)call->failed_article);
        return;
    }
    all->element[0] = redis_reply_words(reply, "ok");
    all->element[1] = redis_reply_number(reply, call->news);
    all->element[2] = redis_reply_number(reply, call->changes);
    all->element[3] = redis_reply_number(reply, call->repeats);
    all->element[4] = redis_reply_text(reply, call->superseded, call->superseded_bytes);
    all->element[5] = redis_reply_text(reply, "", 0);
}

/* Whether the shard's meta names the store; answers why nothing of that store may be applied to it
 * if it does not. shard_store.lua. */
static bool refuses_store(const struct redis_shard *shard, uint64_t id, struct redis_reply *reply)
{
    char why[128];
    if (shard->store == id)
        return false;
    if (shard->store != 0)
        snprintf(why, sizeof why,
                 "store: its data belongs to %016" PRIx64 ", not to %016" PRIx64
                 "; to count into it run the collector once with --adopt",
                 shard->store, id);
    else
        snprintf(
            why, sizeof why,
            "store: its data is gone, or names no store; to count into it run the collector once "
            "with --adopt");
    redisReply *all = redis_reply_array(reply, 2);
    all->element[0] = redis_reply_words(reply, "store");
    all->element[1] = redis_reply_words(reply, why);
    return true;
}

static void apply_call(const struct redis_words *words, struct redis_reply *reply)
{
    struct call call;
    unsigned char stored[REDIS_RING_BYTES];
    read_call(&call, words);
    struct redis_ring *ring = redis_find_ring(call.number, call.ring);
    if ((ring != NULL ? ring->position : 0) != call.from) {
        redisReply *all = redis_reply_array(reply, 2);
        if (ring != NULL)
            redis_ring_bytes(ring, stored);
        all->element[0] = redis_reply_words(reply, "at");
        all->element[1] = redis_reply_text(reply, stored, ring != NULL ? sizeof stored : 0);
        return;
    }
    if (refuses_store(call.shard, call.store, reply))
        return;
    if (redis_paused_us(call.shard) > 0) {
        redisReply *all = redis_reply_array(reply, 2);
        all->element[0] = redis_reply_words(reply, "paused");
        all->element[1] =
            redis_reply_number(reply, (long long)(redis_paused_us(call.shard) + 999) / 1000);
        return;
    }
    redis_commit(call.number);
    judge_commit_begin(call.ring, call.from, call.to);
    uint64_t version = call.last_version;
    int first = (int)redis_scripts_argv(words) + 10;
    for (int i = first; i + 1 < words->n && call.failure == NULL; i += 2) {
        int article = world_find_article(words->word[i], words->bytes[i]);
        if (article < 0) {
            world_wrong("an article that nobody reacted to came to Redis");
            return;
        }
        votes_of_article(&call, (unsigned)article, (const unsigned char *)words->word[i + 1],
                         words->bytes[i + 1]);
        if (call.failure != NULL)
            call.failed_article = (size_t)(i - first) / 2 + 1;
    }
    call.shard->version = call.last_version;
    call.shard->articles = call.last_number;
    if (call.failure == NULL)
        move_position(&call, ring);
    if (call.last_version != version)
        redis_changed(call.number);
    judge_commit_shard(call.number);
    answer_call(&call, reply);
}

void redis_register_run(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned shard = (unsigned)strtoul(words->word[redis_scripts_argv(words) + 7], NULL, 10);
    calls_before(shard, words);
    apply_call(words, reply);
    calls_after(shard, reply);
}

/* EVAL position.lua 2 meta rings, ring store adopt */
void redis_register_position(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned char value[REDIS_RING_BYTES];
    size_t at = redis_scripts_argv(words);
    unsigned number = redis_shard_of(words->word[3]);
    struct redis_shard *shard = redis_shard(number);
    uint64_t store = strtoull(words->word[at + 1], NULL, 16);
    const struct redis_ring *ring = redis_find_ring(number, strtoull(words->word[at], NULL, 16));
    if (words->bytes[at + 2] > 0) {
        redis.emptied[number] = false;
        if (shard->store != store)
            redis_commit(number);
        shard->store = store;
    } else if (refuses_store(shard, store, reply)) {
        return;
    }
    redisReply *all = redis_reply_array(reply, 2);
    all->element[0] = redis_reply_words(reply, "at");
    if (ring != NULL)
        redis_ring_bytes(ring, value);
    all->element[1] = redis_reply_text(reply, value, ring != NULL ? sizeof value : 0);
}

/* EVAL claim.lua 3 meta rings books, store known|new */
void redis_register_claim(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned number = redis_shard_of(words->word[3]);
    struct redis_shard *shard = redis_shard(number);
    uint64_t store = strtoull(words->word[redis_scripts_argv(words)], NULL, 16);
    bool data = shard->folds > 0;
    bool known = strcmp(words->word[redis_scripts_argv(words) + 1], "known") == 0;
    for (int i = 0; i < REDIS_RINGS; i++)
        data = data || shard->ring[i].id != 0;
    if (shard->store == 0 && !data && !known) {
        redis_commit(number);
        shard->store = store;
    } else if (refuses_store(shard, store, reply)) {
        return;
    }
    redis_reply_array(reply, 1)->element[0] = redis_reply_words(reply, "ok");
}

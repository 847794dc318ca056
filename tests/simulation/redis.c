#include "redis.h"

#include "calls.h"
#include "judge.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOTE_BYTES 15
#define VOTES_MAX 64
#define PAUSE_MAX_US 2000000u
#define REGISTER_FIXED 18 /* words of a call of register.lua before the articles */
#define WRONG_TYPE "WRONGTYPE Operation against a key holding the wrong kind of value"

struct redis redis;
void (*redis_on_changed)(unsigned shard);

/* The scripts' texts only have to differ. */
extern const unsigned char register_lua[], position_lua[], store_lua[], fold_lua[], count_lua[],
    pause_lua[], state_lua[], read_lua[], touch_lua[];
extern const unsigned long register_lua_bytes, position_lua_bytes, store_lua_bytes, fold_lua_bytes,
    count_lua_bytes, pause_lua_bytes, state_lua_bytes, read_lua_bytes, touch_lua_bytes;
const unsigned char register_lua[] = "register.lua", position_lua[] = "position.lua",
                    store_lua[] = "store.lua", fold_lua[] = "fold.lua", count_lua[] = "count.lua",
                    pause_lua[] = "pause.lua",
                    state_lua[] = "state.lua", /* no state is ever stored here */
    read_lua[] = "read.lua", touch_lua[] = "touch.lua";
const unsigned long register_lua_bytes = sizeof register_lua - 1,
                    position_lua_bytes = sizeof position_lua - 1,
                    store_lua_bytes = sizeof store_lua - 1, fold_lua_bytes = sizeof fold_lua - 1,
                    count_lua_bytes = sizeof count_lua - 1, pause_lua_bytes = sizeof pause_lua - 1,
                    state_lua_bytes = sizeof state_lua - 1, read_lua_bytes = sizeof read_lua - 1,
                    touch_lua_bytes = sizeof touch_lua - 1;

/* --- replies --- */

static redisReply *add(struct redis_reply *reply, int type)
{
    if (reply->nodes == REDIS_REPLY_NODES)
        abort();
    redisReply *node = &reply->node[reply->nodes++];
    memset(node, 0, sizeof *node);
    node->type = type;
    return node;
}

static void begin(struct redis_reply *reply)
{
    reply->nodes = reply->elements = reply->bytes = 0;
}

static redisReply *text(struct redis_reply *reply, const void *bytes, size_t n)
{
    redisReply *node = add(reply, REDIS_REPLY_STRING);
    if (reply->bytes + n + 1 > REDIS_REPLY_TEXT)
        abort();
    node->str = reply->text + reply->bytes;
    if (n > 0)
        memcpy(node->str, bytes, n);
    node->str[n] = '\0';
    node->len = n;
    reply->bytes += n + 1;
    return node;
}

static redisReply *words_of(struct redis_reply *reply, const char *words)
{
    return text(reply, words, strlen(words));
}

static redisReply *number(struct redis_reply *reply, long long value)
{
    redisReply *node = add(reply, REDIS_REPLY_INTEGER);
    node->integer = value;
    return node;
}

static redisReply *array(struct redis_reply *reply, size_t n)
{
    redisReply *node = add(reply, REDIS_REPLY_ARRAY);
    if (reply->elements + n > REDIS_REPLY_NODES)
        abort();
    node->element = reply->element + reply->elements;
    node->elements = n;
    reply->elements += n;
    return node;
}

static void error_of(struct redis_reply *reply, const char *words)
{
    begin(reply);
    words_of(reply, words)->type = REDIS_REPLY_ERROR;
}

/* --- commits --- */

static void commit(void)
{
    redis.at_us[redis.commits % REDIS_COMMITS] = world.us;
    redis.before[redis.commits++ % REDIS_COMMITS] = redis.now;
    if (redis.kept < REDIS_COMMITS)
        redis.kept++;
}

void redis_begin(bool store, unsigned split)
{
    memset(&redis.now, 0, sizeof redis.now);
    redis.commits = redis.kept = 0;
    redis.up = true;
    redis.has_script = redis.went_back = redis.wiped = false;
    redis.runs = 0;
    redis.newest_version = 0;
    for (unsigned i = 0; i < WORLD_SHARDS; i++) {
        redis.shard_error[i] = NULL;
        redis.poisoned[i] = -1;
        redis.was_poisoned[i] = false;
    }
    if (!store)
        return;
    unsigned char fingerprint[READER_FINGERPRINT_BYTES];
    reader_fingerprint(&world.key, fingerprint);
    redis.now.store = (struct redis_store){
        .id = world_id(), .shards = world.shards, .split = split, .kinds = WORLD_KINDS};
    for (int i = 0; i < READER_FINGERPRINT_BYTES; i++)
        snprintf(redis.now.store.key + 2 * i, 3, "%02x", fingerprint[i]);
    for (int i = 1; i <= WORLD_KINDS; i++)
        memcpy(redis.now.store.kind[i], world.kinds.name[i], KIND_NAME_MAX_BYTES + 1);
}

unsigned redis_lose(unsigned n)
{
    /* A version that was given already would be given again. */
    if (world_redis_us() <= redis.newest_version)
        n = 0;
    unsigned lost = 0;
    while (lost < n && redis.kept > 0 &&
           world.us - redis.at_us[(redis.commits - 1) % REDIS_COMMITS] <= REDIS_LOSES_US) {
        redis.now = redis.before[--redis.commits % REDIS_COMMITS];
        redis.kept--;
        lost++;
    }
    redis.has_script = false;
    redis.went_back = redis.went_back || lost > 0;
    return lost;
}

void redis_wipe(bool at_once)
{
    memset(&redis.now, 0, sizeof redis.now);
    redis.kept = 0;
    redis.has_script = redis.has_script && at_once;
    redis.went_back = redis.wiped = true;
}

/* --- keys --- */

struct redis_ring *redis_find_ring(unsigned shard, uint64_t id)
{
    for (int i = 0; i < REDIS_RINGS; i++)
        if (redis.now.shard[shard].ring[i].id == id)
            return &redis.now.shard[shard].ring[i];
    return NULL;
}

bool redis_is_folded(unsigned shard, uint64_t id)
{
    for (uint32_t i = 0; i < redis.now.shard[shard].folds; i++)
        if (redis.now.shard[shard].folded[i] == id)
            return true;
    return false;
}

static struct redis_register *find_register(struct redis_shard *shard, uint32_t of, uint32_t bucket,
                                            uint64_t reader)
{
    for (uint32_t i = 0; i < shard->registers; i++)
        if (shard->reg[i].number == of && shard->reg[i].bucket == bucket &&
            shard->reg[i].reader == reader)
            return &shard->reg[i];
    return NULL;
}

static uint32_t bucket_of(uint64_t reader, uint32_t size, uint32_t split)
{
    uint32_t hash = (uint32_t)reader;
    uint32_t bucket = hash % size;
    return bucket < split ? hash % (size * 4) : bucket;
}

static uint32_t size_of(unsigned level)
{
    return 1u << 2 * level;
}

uint64_t redis_value(unsigned shard, unsigned article, uint64_t reader)
{
    const struct redis_head *head = &redis.now.shard[shard].head[article];
    if (!head->exists)
        return 0;
    const struct redis_register *reg =
        find_register(&redis.now.shard[shard], head->number,
                      bucket_of(reader, size_of(head->level), head->split), reader);
    return reg != NULL ? reg->value : 0;
}

void redis_total(unsigned article, int64_t count[KIND_MAX + 1], uint64_t *version)
{
    const struct redis_shard *shard = &redis.now.shard[world.article[article].shard];
    const struct redis_head *head = &shard->head[article];
    *version = head->version;
    for (int kind = 0; kind <= KIND_MAX; kind++)
        count[kind] = (head->exists ? head->count[kind] : 0) + shard->base[article][kind];
}

/* --- register.lua --- */

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
    uint32_t size = size_of(head->level);
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
        judge_version(call->number, article, head->version);
    }
    if (!head->exists)
        call->last_number = head->number;
    head->exists = true;
    *stored = *head;
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
        if (redis.poisoned[call->number] == (int)article) {
            call->failure = WRONG_TYPE;
            break;
        }
        for (int i = 0; i < 7; i++)
            value = value << 8 | blob[at + 8 + i];
        uint32_t bucket = bucket_of(reader, size_of(head.level), head.split);
        struct redis_register *reg = find_register(call->shard, head.number, bucket, reader);
        uint64_t before = reg != NULL ? reg->value : 0;
        if (reg == NULL)
            vote_new(call, &head, bucket, reader, value, &moved);
        else
            vote_again(call, &head, reg, value, &moved);
        dirty = dirty || moved || call->news > news;
        reg = find_register(call->shard, head.number,
                            bucket_of(reader, size_of(head.level), head.split), reader);
        judge_vote(call->number, article, reader, value, before, reg != NULL ? reg->value : 0);
        call->index++;
    }
    if (dirty || (call->renew && head.exists))
        write_head(call, article, &head, moved);
}

static void read_call(struct call *call, const struct redis_words *words)
{
    /* EVALSHA sha 5 heads changed meta rings tally:store, then the arguments. */
    const char *const *argument = words->word + 7;
    memset(call, 0, sizeof *call);
    call->number = (unsigned)strtoul(argument[8], NULL, 10);
    call->shard = &redis.now.shard[call->number];
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

void redis_ring_bytes(const struct redis_ring *ring, unsigned char out[REDIS_RING_BYTES])
{
    bytes_put_u64(out, ring->position);
    bytes_put_u64(out + 8, ring->sequence);
    bytes_put_u64(out + 16, ring->quarantined);
    bytes_put_u64(out + 24, ring->lost);
    bytes_put_u64(out + 32, ring->edge);
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
    moved.voted = ring->voted + judge_voted();
    judge_position(call->number, ring->id == 0 ? NULL : ring, &moved);
    *ring = moved;
}

static void answer_call(const struct call *call, struct redis_reply *reply)
{
    redisReply *all = array(reply, call->failure != NULL ? 3 : 6);
    if (call->failure != NULL) {
        all->element[0] = words_of(reply, "error");
        all->element[1] = words_of(reply, call->failure);
        all->element[2] = number(reply, (long long)call->failed_article);
        return;
    }
    all->element[0] = words_of(reply, "ok");
    all->element[1] = number(reply, call->news);
    all->element[2] = number(reply, call->changes);
    all->element[3] = number(reply, call->repeats);
    all->element[4] = text(reply, call->superseded, call->superseded_bytes);
    all->element[5] = text(reply, "", 0);
}

/* How long a pause lasts yet, in µs; 0: there is none, or it is of before the clock was set back.
 */
static uint64_t paused_us(const struct redis_shard *shard)
{
    uint64_t now = world_redis_us();
    bool holds = shard->pause_from <= now && now < shard->pause_to &&
                 shard->pause_to - shard->pause_from <= PAUSE_MAX_US;
    return holds ? shard->pause_to - now : 0;
}

/* shard_store.lua: answers why nothing of that store may be applied to the shard. False: it may be.
 */
static bool refuses_store(const struct redis_shard *shard, uint64_t id, struct redis_reply *reply)
{
    char why[128];
    bool data = false;
    if (shard->store == id)
        return false;
    for (int i = 0; i < REDIS_RINGS; i++)
        data = data || shard->ring[i].id != 0 || shard->folds > 0;
    if (shard->store != 0)
        snprintf(why, sizeof why,
                 "store: its data belongs to %016" PRIx64 ", not to %016" PRIx64
                 "; to count into it run the collector once with --adopt",
                 shard->store, id);
    else if (redis.now.store.id != id)
        snprintf(why, sizeof why, "store: Redis no longer holds %016" PRIx64, id);
    else if (data)
        snprintf(why, sizeof why,
                 "store: its data names no store; to count into it run the collector once with "
                 "--adopt");
    else
        return false;
    redisReply *all = array(reply, 2);
    all->element[0] = words_of(reply, "store");
    all->element[1] = words_of(reply, why);
    return true;
}

static void run_register(const struct redis_words *words, struct redis_reply *reply)
{
    struct call call;
    unsigned char stored[REDIS_RING_BYTES];
    read_call(&call, words);
    struct redis_ring *ring = redis_find_ring(call.number, call.ring);
    if ((ring != NULL ? ring->position : 0) != call.from) {
        redisReply *all = array(reply, 2);
        if (ring != NULL)
            redis_ring_bytes(ring, stored);
        all->element[0] = words_of(reply, "at");
        all->element[1] = text(reply, stored, ring != NULL ? sizeof stored : 0);
        return;
    }
    if (refuses_store(call.shard, call.store, reply))
        return;
    if (paused_us(call.shard) > 0) {
        redisReply *all = array(reply, 2);
        all->element[0] = words_of(reply, "paused");
        all->element[1] = number(reply, (long long)(paused_us(call.shard) + 999) / 1000);
        return;
    }
    commit();
    judge_call(call.ring, call.from, call.to);
    uint64_t version = call.last_version;
    for (int i = REGISTER_FIXED; i + 1 < words->n && call.failure == NULL; i += 2) {
        int article = world_find_article(words->word[i], words->bytes[i]);
        if (article < 0) {
            world_wrong("an article that nobody reacted to came to Redis");
            return;
        }
        votes_of_article(&call, (unsigned)article, (const unsigned char *)words->word[i + 1],
                         words->bytes[i + 1]);
        if (call.failure != NULL)
            call.failed_article = (size_t)(i - REGISTER_FIXED) / 2 + 1;
    }
    call.shard->version = call.last_version;
    call.shard->articles = call.last_number;
    if (call.failure == NULL)
        move_position(&call, ring);
    if (call.failure == NULL || call.last_version != version)
        call.shard->store = call.store;
    if (call.last_version != version && redis_on_changed != NULL)
        redis_on_changed(call.number);
    judge_shard(call.number);
    answer_call(&call, reply);
}

static void run_register_told(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned shard = (unsigned)strtoul(words->word[7 + 8], NULL, 10);
    calls_before(shard, words);
    run_register(words, reply);
    calls_after(shard, reply);
}

/* --- store.lua, fold.lua --- */

static void add_field(struct redis_reply *reply, redisReply *all, size_t *at, const char *name,
                      const char *value)
{
    all->element[(*at)++] = words_of(reply, name);
    all->element[(*at)++] = words_of(reply, value);
}

static void answer_store(struct redis_reply *reply)
{
    const struct redis_store *store = &redis.now.store;
    char name[32], value[24];
    size_t at = 0;
    redisReply *all = array(reply, store->id == 0 ? 0 : 2 * (5 + store->kinds));
    if (store->id == 0)
        return;
    snprintf(value, sizeof value, "%016" PRIx64, store->id);
    add_field(reply, all, &at, "id", value);
    add_field(reply, all, &at, "format", "1");
    snprintf(value, sizeof value, "%u", store->shards);
    add_field(reply, all, &at, "shards", value);
    add_field(reply, all, &at, "key", store->key);
    snprintf(value, sizeof value, "%u", store->split);
    add_field(reply, all, &at, "split", value);
    for (unsigned i = 1; i <= store->kinds; i++) {
        snprintf(name, sizeof name, "kind:%s", store->kind[i]);
        snprintf(value, sizeof value, "%u", i);
        add_field(reply, all, &at, name, value);
    }
}

static void run_store(const struct redis_words *words, struct redis_reply *reply)
{
    struct redis_store *store = &redis.now.store;
    uint64_t id = strtoull(words->word[4], NULL, 16);
    commit();
    if (store->id == 0 && strcmp(words->word[5], "make") == 0) {
        store->id = id;
        store->shards = (unsigned)strtoul(words->word[6], NULL, 10);
        store->split = (unsigned)strtoul(words->word[8], NULL, 10);
        snprintf(store->key, sizeof store->key, "%s", words->word[7]);
    }
    for (int i = 9; i < words->n && store->id == id; i++) {
        bool known = false;
        for (unsigned k = 1; k <= store->kinds; k++)
            known = known || strcmp(store->kind[k], words->word[i]) == 0;
        if (!known && store->kinds < KIND_MAX)
            snprintf(store->kind[++store->kinds], KIND_NAME_MAX_BYTES + 1, "%s", words->word[i]);
    }
    answer_store(reply);
}

static unsigned shard_of_key(const char *key)
{
    return (unsigned)strtoul(key + strlen("tally:{"), NULL, 10);
}

static void run_fold(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned shard = shard_of_key(words->word[3]);
    struct redis_ring *ring = redis_find_ring(shard, strtoull(words->word[5], NULL, 16));
    if (ring == NULL) {
        number(reply, 0);
        return;
    }
    commit();
    unsigned edge = judge_edge(ring->edge);
    struct redis_shard *books = &redis.now.shard[shard];
    books->applied[edge] += (int64_t)(ring->sequence - ring->quarantined - ring->lost);
    books->quarantined[edge] += (int64_t)ring->quarantined;
    books->lost[edge] += (int64_t)ring->lost;
    if (books->folds == REDIS_RINGS)
        abort();
    books->folded[books->folds++] = ring->id;
    memset(ring, 0, sizeof *ring);
    number(reply, 1);
}

/* --- lib/audit: pause.lua, count.lua --- */

/* EVAL pause.lua 1 meta whose ms */
static void run_pause(const struct redis_words *words, struct redis_reply *reply)
{
    struct redis_shard *shard = &redis.now.shard[shard_of_key(words->word[3])];
    uint64_t whose = strtoull(words->word[4], NULL, 16), now = world_redis_us();
    uint64_t wanted = strtoull(words->word[5], NULL, 10) * 1000;
    uint64_t length = shard->pause_to - shard->pause_from;
    bool sane = shard->pause_to != 0 && shard->pause_from <= now &&
                shard->pause_from <= shard->pause_to && length <= PAUSE_MAX_US;
    redisReply *all = array(reply, wanted == 0 ? 1 : 2);
    if (wanted > PAUSE_MAX_US)
        wanted = PAUSE_MAX_US;
    if (wanted == 0) {
        if (whose == shard->pause_whose && paused_us(shard) > 0)
            shard->pause_to = now;
        all->element[0] = words_of(reply, "ended");
    } else if (sane && now < shard->pause_to + length) {
        all->element[0] = words_of(reply, "wait");
        all->element[1] = number(reply, (long long)(shard->pause_to + length - now + 999) / 1000);
    } else {
        shard->pause_from = now;
        shard->pause_to = now + wanted;
        shard->pause_whose = whose;
        all->element[0] = words_of(reply, "paused");
        all->element[1] = number(reply, (long long)(wanted / 1000));
    }
}

static redisReply *head_text(struct redis_reply *reply, const struct redis_head *head);
static redisReply *base_text(struct redis_reply *reply, const struct redis_shard *shard,
                             unsigned article);

/* Registers by kind, registers, misplaced, of no known form, buckets. */
static void count_registers(const struct redis_shard *shard, const struct redis_head *head,
                            bool readable, unsigned char out[80])
{
    uint32_t found[20] = {0};
    uint32_t size = size_of(head->level);
    for (uint32_t i = 0; i < shard->registers && readable; i++) {
        const struct redis_register *reg = &shard->reg[i];
        if (reg->number != head->number)
            continue;
        found[counts_as(head, reg->value)]++;
        found[16]++;
        found[17] += reg->bucket != bucket_of(reg->reader, size, head->split);
    }
    found[18] = readable ? 0 : 1;
    found[19] = size + 3 * head->split;
    for (int i = 0; i < 20; i++)
        bytes_put_u32(out + 4 * i, found[i]);
}

/* EVAL count.lua 4 heads base changed meta article head counted cursor most: all in one slice. */
static void run_count(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned number_of = shard_of_key(words->word[3]);
    const struct redis_shard *shard = &redis.now.shard[number_of];
    int article = world_find_article(words->word[7], words->bytes[7]);
    char score[24], version[24];
    unsigned char found[80];
    if (article < 0 || !shard->head[article].exists) {
        array(reply, 1)->element[0] = words_of(reply, "none");
        return;
    }
    const struct redis_head *head = &shard->head[article];
    redisReply *all = array(reply, 8), *now = head_text(reply, head);
    if (words->bytes[8] > 0 && (words->bytes[8] != (size_t)now->len ||
                                memcmp(words->word[8], now->str, words->bytes[8]) != 0)) {
        begin(reply);
        array(reply, 1)->element[0] = words_of(reply, "changed");
        return;
    }
    count_registers(shard, head, redis.poisoned[number_of] != article, found);
    snprintf(score, sizeof score, "%" PRIu64, shard->changed[article]);
    snprintf(version, sizeof version, "%" PRIu64, shard->version);
    all->element[0] = words_of(reply, "ok");
    all->element[1] = now;
    all->element[2] =
        shard->has_base[article] ? base_text(reply, shard, (unsigned)article) : text(reply, "", 0);
    all->element[3] = words_of(reply, shard->changed[article] != 0 ? score : "");
    all->element[4] = words_of(reply, version);
    all->element[5] = number(reply, (long long)bytes_get_u32(found + 76));
    all->element[6] = words_of(reply, "0");
    all->element[7] = text(reply, found, sizeof found);
}

/* HRANDFIELD heads */
static void run_random(const struct redis_words *words, struct redis_reply *reply)
{
    const struct redis_shard *shard = &redis.now.shard[shard_of_key(words->word[1])];
    unsigned from = (unsigned)(world_id() % WORLD_ARTICLES);
    for (unsigned i = 0; i < WORLD_ARTICLES; i++) {
        unsigned article = (from + i) % WORLD_ARTICLES;
        if (!shard->head[article].exists)
            continue;
        text(reply, world.article[article].name, world.article[article].bytes);
        return;
    }
    add(reply, REDIS_REPLY_NIL);
}

/* --- reading --- */

/* EVAL position.lua 3 meta rings tally:store ring store adopt */
static void run_position(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned char value[REDIS_RING_BYTES];
    unsigned number_of = shard_of_key(words->word[3]);
    struct redis_shard *shard = &redis.now.shard[number_of];
    uint64_t store = strtoull(words->word[7], NULL, 16);
    const struct redis_ring *ring = redis_find_ring(number_of, strtoull(words->word[6], NULL, 16));
    if (words->bytes[8] > 0 && shard->store != store) {
        commit();
        shard->store = store;
    } else if (refuses_store(shard, store, reply)) {
        return;
    }
    redisReply *all = array(reply, 2);
    all->element[0] = words_of(reply, "at");
    if (ring != NULL)
        redis_ring_bytes(ring, value);
    all->element[1] = text(reply, value, ring != NULL ? sizeof value : 0);
}

static void run_rings(const struct redis_words *words, struct redis_reply *reply)
{
    const struct redis_shard *shard = &redis.now.shard[shard_of_key(words->word[1])];
    unsigned char value[REDIS_RING_BYTES];
    char id[17];
    size_t n = 0;
    for (int i = 0; i < REDIS_RINGS; i++)
        n += shard->ring[i].id != 0;
    redisReply *all = array(reply, 2 * n);
    n = 0;
    for (int i = 0; i < REDIS_RINGS; i++) {
        if (shard->ring[i].id == 0)
            continue;
        snprintf(id, sizeof id, "%016" PRIx64, shard->ring[i].id);
        redis_ring_bytes(&shard->ring[i], value);
        all->element[n++] = words_of(reply, id);
        all->element[n++] = text(reply, value, sizeof value);
    }
}

/* Words of a command within a script: ZRANGEBYSCORE key (low high …, or ZREVRANGEBYSCORE key high
 * (low … */
static redisReply *range_of(const char *const *word, struct redis_reply *reply)
{
    const struct redis_shard *shard = &redis.now.shard[shard_of_key(word[1])];
    bool reverse = strcmp(word[0], "ZREVRANGEBYSCORE") == 0;
    const char *above = word[reverse ? 3 : 2], *upto = word[reverse ? 2 : 3];
    uint64_t low = strtoull(above + 1, NULL, 10);
    uint64_t high = upto[0] == '+' ? UINT64_MAX : strtoull(upto, NULL, 10);
    size_t limit = strtoull(word[7], NULL, 10), n = 0;
    unsigned order[WORLD_ARTICLES];
    char score[24];
    for (unsigned a = 0; a < WORLD_ARTICLES; a++) {
        uint64_t at = shard->changed[a];
        if (at == 0 || at <= low || at > high)
            continue;
        size_t i = n++;
        for (; i > 0 && (shard->changed[order[i - 1]] > at) != reverse; i--)
            order[i] = order[i - 1];
        order[i] = a;
    }
    n = n < limit ? n : limit;
    redisReply *all = array(reply, 2 * n);
    for (size_t i = 0; i < n; i++) {
        snprintf(score, sizeof score, "%" PRIu64, shard->changed[order[i]]);
        all->element[2 * i] =
            text(reply, world.article[order[i]].name, world.article[order[i]].bytes);
        all->element[2 * i + 1] = words_of(reply, score);
    }
    return all;
}

size_t redis_head_bytes(const struct redis_head *head, unsigned char out[REDIS_HEAD_BYTES])
{
    size_t bytes = 24;
    memset(out, 0, bytes);
    out[0] = 1;
    out[1] = head->floored ? 1 : 0;
    bytes_put_u64(out + 2, head->version);
    bytes_put_u32(out + 10, head->number);
    bytes_put_u32(out + 14, head->voters);
    out[18] = head->level;
    bytes_put_u32(out + 19, head->split);
    for (unsigned kind = 1; kind <= KIND_MAX; kind++) {
        if (head->count[kind] == 0)
            continue;
        out[23]++;
        out[bytes] = (unsigned char)kind;
        bytes_put_u32(out + bytes + 1, head->count[kind]);
        bytes += 5;
    }
    if (head->floored) {
        bytes_put_u64(out + bytes, head->floor);
        bytes += 8;
    }
    return bytes;
}

static redisReply *head_text(struct redis_reply *reply, const struct redis_head *head)
{
    unsigned char out[REDIS_HEAD_BYTES];
    if (!head->exists)
        return add(reply, REDIS_REPLY_NIL);
    return text(reply, out, redis_head_bytes(head, out));
}

static redisReply *base_text(struct redis_reply *reply, const struct redis_shard *shard,
                             unsigned article)
{
    unsigned char out[2 + 9 * KIND_MAX] = {1, 0};
    size_t bytes = 2;
    if (!shard->has_base[article])
        return add(reply, REDIS_REPLY_NIL);
    for (unsigned kind = 1; kind <= KIND_MAX; kind++) {
        if (shard->base[article][kind] == 0)
            continue;
        out[1]++;
        out[bytes] = (unsigned char)kind;
        bytes_put_u64(out + bytes + 1, (uint64_t)shard->base[article][kind]);
        bytes += 9;
    }
    return text(reply, out, bytes);
}

/* HMGET key article … */
static redisReply *fields_of(const char *const *word, const size_t *bytes, size_t n,
                             struct redis_reply *reply)
{
    const struct redis_shard *shard = &redis.now.shard[shard_of_key(word[1])];
    bool heads = strstr(word[1], ":heads") != NULL, base = strstr(word[1], ":base") != NULL;
    redisReply *all = array(reply, n - 2);
    for (size_t i = 2; i < n; i++) {
        int article = world_find_article(word[i], bytes[i]);
        if (article < 0)
            abort();
        all->element[i - 2] = heads  ? head_text(reply, &shard->head[article])
                              : base ? base_text(reply, shard, (unsigned)article)
                                     : add(reply, REDIS_REPLY_NIL); /* no state */
    }
    return all;
}

/* Whether it is the store of that id; answers where it is not. */
static bool is_store(const char *id, struct redis_reply *reply)
{
    char now[17] = "";
    if (redis.now.store.id != 0)
        snprintf(now, sizeof now, "%016" PRIx64, redis.now.store.id);
    if (strcmp(now, id) == 0)
        return true;
    redisReply *all = array(reply, 2);
    all->element[0] = words_of(reply, "store");
    all->element[1] = words_of(reply, now);
    return false;
}

/* EVAL read.lua 2 tally:store key id, then the commands, each after the number of its words */
static void run_read(const struct redis_words *words, struct redis_reply *reply)
{
    size_t commands = 0, at;
    if (!is_store(words->word[5], reply))
        return;
    for (at = 6; at < (size_t)words->n; at += 1 + strtoul(words->word[at], NULL, 10))
        commands++;
    redisReply *all = array(reply, commands + 1);
    all->element[0] = words_of(reply, "ok");
    commands = 1;
    for (at = 6; at < (size_t)words->n;) {
        size_t n = strtoul(words->word[at], NULL, 10);
        const char *const *word = words->word + at + 1;
        if (strcmp(word[0], "HMGET") == 0) {
            all->element[commands++] = fields_of(word, words->bytes + at + 1, n, reply);
        } else if (strcmp(word[0], "HGET") == 0) {
            char version[24];
            snprintf(version, sizeof version, "%" PRIu64,
                     redis.now.shard[shard_of_key(word[1])].version);
            all->element[commands++] = words_of(reply, version);
        } else {
            all->element[commands++] = range_of(word, reply);
        }
        at += 1 + n;
    }
}

/* EVAL touch.lua 4 heads changed meta tally:store article above shard id */
static void run_touch(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned number_of = shard_of_key(words->word[3]);
    struct redis_shard *shard = &redis.now.shard[number_of];
    int article = world_find_article(words->word[7], words->bytes[7]);
    uint64_t above = strtoull(words->word[8], NULL, 10), now = world_redis_us();
    char version[24];
    if (article < 0)
        abort();
    if (!is_store(words->word[10], reply))
        return;
    redisReply *all = array(reply, 2);
    if (paused_us(shard) > 0) {
        all->element[0] = words_of(reply, "paused");
        all->element[1] = number(reply, (long long)(paused_us(shard) + 999) / 1000);
        return;
    }
    struct redis_head *head = &shard->head[article];
    bool done = head->exists && head->version > above;
    if (!done) {
        commit();
        shard->version = shard->version + 1 > now ? shard->version + 1 : now;
        if (shard->version <= above)
            shard->version = above + 1;
        if (!head->exists)
            *head = (struct redis_head){.exists = true, .number = ++shard->articles};
        head->version = shard->changed[article] = shard->version;
        judge_version(number_of, (unsigned)article, head->version);
        judge_shard(number_of);
    }
    snprintf(version, sizeof version, "%" PRIu64, head->version);
    all->element[0] = words_of(reply, "ok");
    all->element[1] = words_of(reply, version);
    if (!done && redis_on_changed != NULL)
        redis_on_changed(number_of);
}

static void run_time(struct redis_reply *reply)
{
    char seconds[24], micros[24];
    uint64_t now = world_redis_us();
    snprintf(seconds, sizeof seconds, "%" PRIu64, now / 1000000);
    snprintf(micros, sizeof micros, "%" PRIu64, now % 1000000);
    redisReply *all = array(reply, 2);
    all->element[0] = words_of(reply, seconds);
    all->element[1] = words_of(reply, micros);
}

static void run_info(struct redis_reply *reply)
{
    char info[128];
    snprintf(info, sizeof info,
             "# Server\r\nrun_id:%08u\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\n",
             redis.runs + 1);
    words_of(reply, info);
}

static bool is(const struct redis_words *words, int i, const char *want)
{
    return words->n > i && words->bytes[i] == strlen(want) &&
           memcmp(words->word[i], want, words->bytes[i]) == 0;
}

/* What the shard that a key is of answers, or NULL: out of memory and read-only, to what writes
 * only. */
static const char *shard_error(const struct redis_words *words)
{
    bool writes = strncmp(words->word[0], "EVAL", 4) == 0 &&
                  !is(words, 1, (const char *)read_lua) &&
                  (!is(words, 1, (const char *)position_lua) || words->bytes[8] > 0);
    for (int i = 1; i < words->n && i < 5; i++) {
        if (strncmp(words->word[i], "tally:{", 7) != 0)
            continue;
        const char *error = redis.shard_error[shard_of_key(words->word[i])];
        bool of_writes = error != NULL && (error[0] == 'O' || error[0] == 'R');
        return of_writes && !writes ? NULL : error;
    }
    return NULL;
}

bool redis_is_position(const struct redis_words *words)
{
    return is(words, 0, "EVAL") && is(words, 1, (const char *)position_lua);
}

static void run_eval(const struct redis_words *words, struct redis_reply *reply)
{
    if (is(words, 1, (const char *)store_lua))
        run_store(words, reply);
    else if (is(words, 1, (const char *)position_lua))
        run_position(words, reply);
    else if (is(words, 1, (const char *)fold_lua))
        run_fold(words, reply);
    else if (is(words, 1, (const char *)count_lua))
        run_count(words, reply);
    else if (is(words, 1, (const char *)pause_lua))
        run_pause(words, reply);
    else if (is(words, 1, (const char *)read_lua))
        run_read(words, reply);
    else if (is(words, 1, (const char *)touch_lua))
        run_touch(words, reply);
    else
        error_of(reply, "ERR an unknown script");
}

void redis_run(const struct redis_words *words, struct redis_reply *reply)
{
    const char *error = shard_error(words);
    begin(reply);
    if (error != NULL)
        error_of(reply, error);
    else if (is(words, 0, "EVALSHA") && !redis.has_script)
        error_of(reply, "NOSCRIPT No matching script. Please use EVAL.");
    else if (is(words, 0, "EVALSHA"))
        run_register_told(words, reply);
    else if (is(words, 0, "EVAL"))
        run_eval(words, reply);
    else if (is(words, 0, "HRANDFIELD"))
        run_random(words, reply);
    else if (is(words, 0, "HGETALL") && is(words, 1, "tally:store"))
        answer_store(reply);
    else if (is(words, 0, "HGETALL"))
        run_rings(words, reply);
    else if (is(words, 0, "TIME"))
        run_time(reply);
    else if (is(words, 0, "INFO"))
        run_info(reply);
    else if (is(words, 0, "SCRIPT")) {
        redis.has_script = true;
        words_of(reply, "0123456789abcdef0123456789abcdef01234567");
    } else
        error_of(reply, "ERR unknown command");
}

/* --- the operator's --- */

void redis_archive(unsigned article, bool reset)
{
    unsigned number_of = world.article[article].shard;
    struct redis_shard *shard = &redis.now.shard[number_of];
    struct redis_head *head = &shard->head[article];
    uint64_t floor = 0;
    if (!head->exists)
        return;
    commit();
    for (uint32_t i = 0; i < shard->registers; i++)
        if (shard->reg[i].number == head->number && shard->reg[i].value >> 4 > floor)
            floor = shard->reg[i].value >> 4;
    for (unsigned kind = 1; kind <= KIND_MAX; kind++) {
        shard->base[article][kind] =
            reset ? 0 : shard->base[article][kind] + (int64_t)head->count[kind];
        head->count[kind] = 0;
    }
    shard->has_base[article] = true;
    if (!head->floored || floor > head->floor)
        head->floor = floor;
    head->floored = true;
    uint64_t now = world_redis_us();
    shard->version = shard->version + 1 > now ? shard->version + 1 : now;
    head->version = shard->changed[article] = shard->version;
    judge_version(number_of, article, head->version);
    judge_shard(number_of);
    if (redis_on_changed != NULL)
        redis_on_changed(number_of);
}

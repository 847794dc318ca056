/* What the servers hold: parts, their commits, and how they lose these. */
#include "redis.h"

#include "judge.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct redis redis;
void (*redis_on_changed)(unsigned server, unsigned shard);

static struct redis_server *redis_at(unsigned part)
{
    return redis.here != NULL ? redis.here : &redis.server[redis.owner[part]];
}

struct redis_shard *redis_shard(unsigned shard)
{
    return &redis_at(shard)->now.shard[shard];
}

struct redis_store *redis_store(void)
{
    return &redis_at(REDIS_OF_STORE)->now.store;
}

/* --- commits --- */

void redis_commit(unsigned part)
{
    struct redis_server *server = redis_at(part);
    struct redis_commit *commit = &server->commit[server->commits++ % REDIS_COMMITS];
    commit->at_us = world.us;
    commit->part = part;
    if (part == REDIS_OF_STORE)
        commit->before.store = server->now.store;
    else
        commit->before.shard = server->now.shard[part];
    if (server->kept < REDIS_COMMITS)
        server->kept++;
    if (server->replicated + REDIS_COMMITS < server->commits)
        server->replicated = server->commits - REDIS_COMMITS;
}

void redis_restore(struct redis_state *state, const struct redis_commit *commit)
{
    if (commit->part == REDIS_OF_STORE)
        state->store = commit->before.store;
    else if (commit->part < WORLD_SHARDS)
        state->shard[commit->part] = commit->before.shard;
}

void redis_undo(struct redis_server *server)
{
    redis_restore(&server->now, &server->commit[--server->commits % REDIS_COMMITS]);
    server->kept--;
    if (server->replicated > server->commits)
        server->replicated = server->commits;
}

void redis_forget_scripts(struct redis_server *server)
{
    server->has_register = server->has_read = false;
    server->has_accelerator = world.accelerates && !server->has_accelerator;
}

static void begin_server(struct redis_server *server, bool master)
{
    memset(&server->now, 0, sizeof server->now);
    server->commits = server->kept = server->replicated = 0;
    server->up = true;
    server->hung = server->apart = server->stops = false;
    redis_forget_scripts(server);
    server->has_accelerator = world.accelerates;
    server->alone = !redis.cluster;
    server->master = master;
    server->runs = 0;
    server->history = (unsigned)(server - redis.server) % REDIS_PAIRS;
    server->epoch = redis.epoch;
    memcpy(server->owner, redis.owner, sizeof redis.owner);
}

static void make_store(unsigned split)
{
    unsigned char fingerprint[READER_FINGERPRINT_BYTES];
    struct redis_store *store = redis_store();
    reader_fingerprint(&world.key, fingerprint);
    *store = (struct redis_store){.id = world_id(), .shards = world.shards, .split = split};
    store->kinds = world.kinds_differ ? world.edge[0].kinds.n - 1 : WORLD_KINDS;
    for (int i = 0; i < READER_FINGERPRINT_BYTES; i++)
        snprintf(store->key + 2 * i, 3, "%02x", fingerprint[i]);
    for (unsigned i = 1; i <= store->kinds; i++)
        memcpy(store->kind[i], world.edge[0].kinds.name[i], KIND_NAME_MAX_BYTES + 1);
}

void redis_begin(bool store, unsigned split)
{
    redis.cluster = world.cluster;
    redis.here = NULL;
    redis.epoch = 1;
    redis.histories = REDIS_PAIRS;
    redis.went_back = redis.followed = redis.wiped = false;
    redis.newest_version = 0;
    memset(redis.cut, 0, sizeof redis.cut);
    for (unsigned i = 0; i < REDIS_PARTS; i++) {
        redis.owner[i] = (uint8_t)(redis.cluster ? dice_below(&world.dice, REDIS_PAIRS) : 0);
        redis.moves_to[i] = -1;
    }
    for (unsigned i = 0; i < REDIS_PAIRS; i++)
        redis.master[i] = i;
    for (unsigned i = 0; i < WORLD_SHARDS; i++) {
        redis.shard_error[i] = NULL;
        redis.poisoned[i] = redis.moved_article[i] = -1;
        redis.was_poisoned[i] = redis.emptied[i] = redis.moved_heads[i] = false;
    }
    for (unsigned i = 0; i < (redis.cluster ? REDIS_SERVERS : 1); i++)
        begin_server(&redis.server[i], i < REDIS_PAIRS);
    if (store)
        make_store(split);
}

/* Where edges differ, a kind that no WAIT can keep is not lost: one that a master takes back when
 * it starts again, without a failover. */
static bool keeps_kinds(const struct redis_server *server)
{
    return world.kinds_differ &&
           server->commit[(server->commits - 1) % REDIS_COMMITS].part == REDIS_OF_STORE;
}

unsigned redis_lose(struct redis_server *server, unsigned n)
{
    /* A version that was given already would be given again. */
    if (world_server_us((unsigned)(server - redis.server)) <= redis.newest_version)
        n = 0;
    unsigned lost = 0;
    while (lost < n && server->kept > 0 &&
           world.us - server->commit[(server->commits - 1) % REDIS_COMMITS].at_us <=
               REDIS_LOSES_US &&
           !keeps_kinds(server)) {
        redis_undo(server);
        lost++;
    }
    redis_forget_scripts(server);
    redis.went_back = redis.went_back || lost > 0;
    return lost;
}

void redis_wipe(struct redis_server *server, bool at_once)
{
    memset(&server->now, 0, sizeof server->now);
    server->kept = 0;
    server->replicated = server->commits;
    if (!at_once)
        redis_forget_scripts(server);
    redis.went_back = redis.wiped = true;
}

/* --- keys --- */

static struct redis_ring *ring_of(struct redis_shard *shard, uint64_t id)
{
    for (int i = 0; i < REDIS_RINGS; i++)
        if (shard->ring[i].id == id)
            return &shard->ring[i];
    return NULL;
}

struct redis_ring *redis_find_ring(unsigned shard, uint64_t id)
{
    return ring_of(redis_shard(shard), id);
}

/* The oldest of the commits that are not replicated says what the replica has. */
uint64_t redis_replicated(unsigned shard, uint64_t ring_id)
{
    struct redis_server *server = &redis.server[redis.owner[shard]];
    struct redis_shard *has = &server->now.shard[shard];
    for (uint64_t i = server->replicated; i < server->commits; i++)
        if (server->commit[i % REDIS_COMMITS].part == shard) {
            has = &server->commit[i % REDIS_COMMITS].before.shard;
            break;
        }
    const struct redis_ring *ring = ring_of(has, ring_id);
    return ring != NULL ? ring->position : 0;
}

bool redis_is_folded(unsigned shard, uint64_t id)
{
    const struct redis_shard *its = redis_shard(shard);
    for (uint32_t i = 0; i < its->folds; i++)
        if (its->folded[i] == id)
            return true;
    return false;
}

struct redis_register *redis_register(struct redis_shard *shard, uint32_t of, uint32_t bucket,
                                      uint64_t reader)
{
    for (uint32_t i = 0; i < shard->registers; i++)
        if (shard->reg[i].number == of && shard->reg[i].bucket == bucket &&
            shard->reg[i].reader == reader)
            return &shard->reg[i];
    return NULL;
}

uint32_t redis_bucket(uint64_t reader, uint32_t size, uint32_t split)
{
    uint32_t hash = (uint32_t)reader;
    uint32_t bucket = hash % size;
    return bucket < split ? hash % (size * 4) : bucket;
}

uint32_t redis_buckets(unsigned level)
{
    return 1u << 2 * level;
}

uint64_t redis_paused_us(const struct redis_shard *shard)
{
    uint64_t now = world_redis_us();
    bool holds = shard->pause_from <= now && now < shard->pause_to &&
                 shard->pause_to - shard->pause_from <= REDIS_PAUSE_MAX_US;
    return holds ? shard->pause_to - now : 0;
}

unsigned redis_shard_of(const char *key)
{
    return (unsigned)strtoul(key + strlen("tally:{"), NULL, 10);
}

int redis_part_of(const char *key, size_t bytes)
{
    if (bytes == strlen("tally:store") && memcmp(key, "tally:store", bytes) == 0)
        return REDIS_OF_STORE;
    if (bytes < strlen("tally:{0}:") || memcmp(key, "tally:{", strlen("tally:{")) != 0)
        return -1;
    unsigned shard = redis_shard_of(key);
    return shard < WORLD_SHARDS ? (int)shard : -1;
}

void redis_changed(unsigned shard)
{
    if (redis_on_changed != NULL)
        redis_on_changed((unsigned)(redis_at(shard) - redis.server), shard);
}

uint64_t redis_value(unsigned shard, unsigned article, uint64_t reader)
{
    struct redis_shard *its = redis_shard(shard);
    const struct redis_head *head = &its->head[article];
    if (!head->exists)
        return 0;
    const struct redis_register *reg = redis_register(
        its, head->number, redis_bucket(reader, redis_buckets(head->level), head->split), reader);
    return reg != NULL ? reg->value : 0;
}

void redis_total(unsigned article, int64_t count[KIND_MAX + 1], uint64_t *version)
{
    const struct redis_shard *shard = redis_shard(world.article[article].shard);
    const struct redis_head *head = &shard->head[article];
    *version = head->version;
    for (int kind = 0; kind <= KIND_MAX; kind++)
        count[kind] = (head->exists ? head->count[kind] : 0) + shard->base[article][kind];
}

void redis_ring_bytes(const struct redis_ring *ring, unsigned char out[REDIS_RING_BYTES])
{
    bytes_put_u64(out, ring->position);
    bytes_put_u64(out + 8, ring->sequence);
    bytes_put_u64(out + 16, ring->quarantined);
    bytes_put_u64(out + 24, ring->lost);
    bytes_put_u64(out + 32, ring->edge);
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

/* --- the operator's --- */

void redis_archive(unsigned article, bool reset)
{
    unsigned number_of = world.article[article].shard;
    struct redis_shard *shard = redis_shard(number_of);
    struct redis_head *head = &shard->head[article];
    uint64_t floor = 0;
    if (!head->exists)
        return;
    redis_commit(number_of);
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
    uint64_t now = world_server_us(redis.owner[number_of]);
    shard->version = shard->version + 1 > now ? shard->version + 1 : now;
    head->version = shard->changed[article] = shard->version;
    judge_commit_version(number_of, article, head->version);
    judge_commit_shard(number_of);
    redis_changed(number_of);
}

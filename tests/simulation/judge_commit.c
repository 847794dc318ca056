/* What a commit in Redis must satisfy: its votes, positions, versions, heads and kinds. */
#include "judge_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The server that is at work. */
static unsigned here(unsigned shard)
{
    return redis.here != NULL ? (unsigned)(redis.here - redis.server) : redis.owner[shard];
}

void judge_commit_begin(uint64_t ring_id, uint64_t from, uint64_t to)
{
    judge.under_way.ring_id = ring_id;
    judge.under_way.from = from;
    judge.under_way.to = to;
    judge.under_way.voted = 0;
    judge.under_way.number++;
}

uint64_t judge_commit_voted(void)
{
    return judge.under_way.voted;
}

void judge_commit_vote(unsigned shard, unsigned article, uint64_t reader, uint64_t value,
                       uint64_t before, uint64_t after)
{
    bool made = false, counted = false;
    judge_kinds_counted(value);
    int who = world_find_reader((int)article, reader);
    uint64_t made_value = judge_kinds_world(value), kind = judge_kinds_world(after) & 15;
    for (unsigned i = 0; i < judge.n_requests; i++) {
        struct judge_request *request = &judge.requests[i];
        if (request->article != article || (int)request->reader != who ||
            !judge_kinds_same(request->value, made_value))
            continue;
        made = true;
        if (!counted && request->ring_id == judge.under_way.ring_id &&
            request->position >= judge.under_way.from && request->position < judge.under_way.to &&
            request->counted_in != judge.under_way.number) {
            counted = true;
            request->counted_in = judge.under_way.number;
            judge.under_way.voted++;
        }
        request->truths[here(shard)] |= after == value ? 1u : 1u << (1 + kind);
        if (judge.confused)
            request->truths[here(shard)] = UINT64_MAX;
    }
    if (!made)
        world_wrong("a reaction was applied that nobody made: shard %u article %u", shard, article);
    if (after < before)
        world_wrong("a register went back: shard %u article %u", shard, article);
    judge_counts.votes++;
}

/* An edge continues with another store only if its operator says so. What its rings had applied to
 * may not have reached the disk before a loss of power. */
static void check_store(unsigned edge, unsigned shard, uint64_t store)
{
    if (redis.emptied[shard])
        world_wrong("an emptied shard is counted into, and nobody adopted it: shard %u", shard);
    if (!redis.cluster && redis_store()->id != store)
        world_wrong("edge %u applies where there is no store", edge);
    if (judge.store_of[edge] != 0 && judge.store_of[edge] != store && !judge.adopts[edge] &&
        !judge.happened[JUDGE_POWER])
        world_wrong("edge %u applies to another store than before, and nobody adopted it", edge);
    if (judge.store_of[edge] != store)
        judge.adopts[edge] = false;
    judge.store_of[edge] = store;
}

void judge_commit_position(unsigned shard, uint64_t store, const struct redis_ring *before,
                           const struct redis_ring *after)
{
    struct judge_ring *ring = judge_request_ring(after->id);
    uint64_t records = judge_request_before(after->id, after->position);
    if (before != NULL && after->position < before->position)
        world_wrong("a ring's position went back: shard %u", shard);
    check_store(judge_edge(after->edge), shard, store);
    if (after->position > ring->highest)
        ring->highest = after->position;
    /* Nobody can tell to which of two twins a vote belongs. */
    if (!ring->twins && after->sequence - after->quarantined - after->lost != after->voted)
        world_wrong("of %" PRIu64 " reactions in a ring %" PRIu64 " were quarantined, %" PRIu64
                    " lost, and %" PRIu64 " applied",
                    after->sequence, after->quarantined, after->lost, after->voted);
    if (records != after->sequence)
        world_wrong("a ring's position says that %" PRIu64
                    " reactions came before it, not %" PRIu64,
                    after->sequence, records);
}

void judge_commit_version(unsigned shard, unsigned article, uint64_t version)
{
    uint64_t *newest = &judge.newest_version[here(shard)][shard];
    if (version <= *newest)
        world_wrong("a version does not rise: shard %u article %u", shard, article);
    *newest = version;
    if (version > redis.newest_version)
        redis.newest_version = version;
}

/* Counts and voters of a head are those of its registers. */
static void check_head(unsigned article, const struct redis_shard *shard)
{
    const struct redis_head *head = &shard->head[article];
    uint32_t count[KIND_MAX + 1] = {0}, voters = 0;
    for (uint32_t i = 0; i < shard->registers; i++) {
        const struct redis_register *reg = &shard->reg[i];
        if (reg->number != head->number)
            continue;
        voters++;
        if (!head->floored || reg->value >> 4 > head->floor)
            count[reg->value & 15]++;
    }
    for (int kind = 1; kind <= KIND_MAX; kind++)
        if (count[kind] != head->count[kind])
            world_wrong("a total is not the sum of its registers: article %u kind %d: %u, not %u",
                        article, kind, head->count[kind], count[kind]);
    if (voters != head->voters)
        world_wrong("a head counts %u voters, not %u: article %u", head->voters, voters, article);
}

static void note_shown(unsigned article)
{
    struct judge_shown one = {.article = article};
    int64_t count[KIND_MAX + 1];
    redis_total(article, count, &one.version);
    for (unsigned i = judge.n_shown; i-- > 0;) {
        if (judge.shown[i].article != article || judge.shown[i].version != one.version)
            continue;
        if (memcmp(judge.shown[i].count, count, sizeof judge.shown[i].count) == 0)
            return;
        if (!judge.happened[JUDGE_WIPED] && !judge.happened[JUDGE_FAILED_OVER])
            return; /* judge_total will say so */
        judge.same_version[article] = true;
    }
    if (judge.n_shown == JUDGE_TOTALS_MAX)
        abort();
    memcpy(one.count, count, sizeof one.count);
    judge.shown[judge.n_shown++] = one;
}

void judge_commit_shard(unsigned shard)
{
    for (unsigned a = 0; a < world.articles; a++) {
        if (world.article[a].shard != shard || !redis_shard(shard)->head[a].exists)
            continue;
        check_head(a, redis_shard(shard));
        note_shown(a);
    }
}

/* What a ring frees, whether a collector sleeps beside it, and whether all of it was applied. */
#include "judge_state.h"

#include <inttypes.h>

#define HEALS_US 3000000u /* a pause after failures is of up to 5 s */

/* What was applied stays until the ring is half full. So a ring lacks only
 * what was admitted half a ring before, whatever Redis loses. A ring that was renamed keeps all. */
static void check_half(const struct files_ring *file, uint64_t from, uint64_t read)
{
    uint64_t half_bytes = (file->bytes - RING_HEADER_BYTES) / 2;
    uint64_t write = ring_write_position(file->memory);
    if (file->name != FILES_RING || judge.happened[JUDGE_POWER] || judge.happened[JUDGE_DAMAGE])
        return;
    for (unsigned i = 0; i < judge.n_requests; i++)
        if (judge.requests[i].ring_id == file->id && judge.requests[i].position >= from &&
            judge.requests[i].position < read && write - judge.requests[i].position <= half_bytes)
            world_wrong("a ring of edge %u frees a record of its newer half: position %" PRIu64
                        " of %" PRIu64,
                        file->edge, judge.requests[i].position, write);
}

/* Nothing may be freed that the ring's server has not answered for since it was asked; and where
 * durability is `replicas`, nothing that its replica has not got. */
static void check_answered(const struct files_ring *file, uint64_t read)
{
    struct judge_ring *ring = judge_request_ring(file->id);
    if (read <= ring->read)
        return;
    if (ring->asked && read > ring->answered && !judge.happened[JUDGE_POWER])
        world_wrong("a ring of edge %u frees up to %" PRIu64
                    " what its server has answered for only up to %" PRIu64,
                    file->edge, read, ring->answered);
    if (world.replicas && !redis.went_back && !redis.followed && !judge.happened[JUDGE_POWER] &&
        !judge.happened[JUDGE_WIPED] && read > redis_replicated(file->shard, file->id))
        world_wrong("a ring of edge %u frees up to %" PRIu64
                    " what a replica has only up to %" PRIu64,
                    file->edge, read, redis_replicated(file->shard, file->id));
    check_half(file, ring->read, read);
    ring->read = read;
}

/* Nothing may be overwritten that Redis has never had. What it had, answered for, and lost since
 * may be: the answer can have come after that. */
void judge_ring_freed(void)
{
    for (int i = 0; i < FILES_MAX; i++) {
        const struct files_ring *file = &files[i];
        if (!file->used || (file->name != FILES_RING && file->name != FILES_OLD))
            continue;
        uint64_t read = ring_read_position(file->memory);
        check_answered(file, read);
        if (read > 0 && read > judge_request_ring(file->id)->highest &&
            !judge.happened[JUDGE_POWER])
            world_wrong("a ring of edge %u frees up to %" PRIu64
                        " what Redis has only up to %" PRIu64,
                        file->edge, read, judge_request_ring(file->id)->highest);
        const struct redis_ring *ring = redis_find_ring(file->shard, file->id);
        if ((redis.went_back || redis.followed) && read > (ring != NULL ? ring->position : 0))
            judge_lost(redis.went_back ? JUDGE_REDIS_WENT_BACK : JUDGE_FAILED_OVER);
    }
}

/* A process that sleeps while there is work must have been woken. */
void judge_ring_awake(unsigned edge)
{
    const struct event_base *process = &platform_process[edge][PLATFORM_COLLECTOR];
    const struct files_edge *own = &files_edge[edge];
    if (!process->alive || !process->waits || !own->asleep || own->wake_bytes > 0 ||
        wire_due(process) || judge.happened[JUDGE_POWER] || judge.happened[JUDGE_DAMAGE])
        return;
    for (unsigned s = 0; s < world.shards; s++) {
        const struct judge_going *pipeline = &judge.pipelines[edge][s];
        if (pipeline->going && pipeline->in_flight == 0 && own->file[s] >= 0 &&
            files[own->file[s]].id == pipeline->ring_id &&
            ring_write_position(files[own->file[s]].memory) > pipeline->sent_to)
            world_wrong("the collector of edge %u sleeps though a reaction waits", edge);
    }
}

/* NULL: everything in the file was applied. */
static const char *why_waits(const struct files_ring *file)
{
    if (file->name == FILES_OLD)
        return "an old ring is not drained";
    if (file->name != FILES_RING)
        return NULL;
    uint64_t write = ring_write_position(file->memory);
    const struct redis_ring *ring = redis_find_ring(file->shard, file->id);
    return write != (ring != NULL ? ring->position : 0) ? "a ring is not applied" : NULL;
}

bool judge_ring_done(struct error *why)
{
    for (int i = 0; i < FILES_MAX; i++) {
        const struct files_ring *file = &files[i];
        const char *waits = file->used && file->edge < world.edges ? why_waits(file) : NULL;
        if (waits == NULL)
            continue;
        error_set(why, "%s: edge %u: %s", waits, file->edge, broker[file->edge].collector_reason);
        return false;
    }
    return true;
}

/* --- how soon it heals --- */

void judge_ring_mends(void)
{
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        judge.owner[s] = redis.owner[s];
        for (unsigned e = 0; e < WORLD_EDGES; e++)
            judge.heals[e][s] = platform_process[e][PLATFORM_COLLECTOR].alive;
    }
}

void judge_ring_mended(void)
{
    judge.mended_us = world.us;
    for (unsigned e = 0; e < WORLD_EDGES; e++)
        for (unsigned s = 0; s < WORLD_SHARDS; s++)
            judge.heals[e][s] = judge.heals[e][s] && judge.owner[s] != redis.owner[s] &&
                                !judge.happened[JUDGE_WIPED] && !redis.was_poisoned[s];
}

static bool current_applied(unsigned edge, unsigned shard)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (files[i].used && files[i].name == FILES_RING && files[i].edge == edge &&
            files[i].shard == shard && why_waits(&files[i]) != NULL)
            return false;
    return true;
}

void judge_ring_healed(void)
{
    for (unsigned e = 0; e < world.edges; e++)
        for (unsigned s = 0; s < world.shards; s++) {
            if (!judge.heals[e][s])
                continue;
            judge.heals[e][s] = !current_applied(e, s);
            if (judge.heals[e][s] && world.us - judge.mended_us > HEALS_US)
                world_wrong("edge %u applies nothing to a shard that has had another owner for "
                            "%" PRIu64 " ms",
                            e, (world.us - judge.mended_us) / 1000);
        }
}

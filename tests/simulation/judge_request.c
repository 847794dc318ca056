/* What readers did: each record that was put whole into a ring, and which of them still count. */
#include "judge_state.h"

#include "core/stamp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct judge_ring *judge_request_ring(uint64_t id)
{
    for (unsigned i = judge.n_rings; i-- > 0;)
        if (judge.rings[i].id == id)
            return &judge.rings[i];
    if (judge.n_rings == JUDGE_RINGS_MAX)
        abort();
    judge.rings[judge.n_rings] = (struct judge_ring){.id = id};
    return &judge.rings[judge.n_rings++];
}

static void check_stamp(const struct broker_message *message, const struct record *record,
                        uint64_t last)
{
    uint64_t now = (world_edge_ms(message->edge) - STAMP_EPOCH_UNIX_MS) * STAMP_COUNTS;
    if (message->age_ms == 0 && last <= now + (uint64_t)STAMP_AHEAD_MAX_MS * STAMP_COUNTS &&
        record->stamp <= last)
        world_wrong("the admission clock of edge %u does not rise", message->edge);
}

void judge_request_admitted(const struct broker_message *message, const struct record *record,
                            const struct files_ring *file, uint64_t last)
{
    if (judge.n_requests == JUDGE_REQUESTS_MAX)
        abort();
    struct judge_request *request = &judge.requests[judge.n_requests++];
    uint64_t now = (world_edge_ms(message->edge) - STAMP_EPOCH_UNIX_MS) * STAMP_COUNTS;
    *request = (struct judge_request){
        .reader = message->reader,
        .article = message->article,
        .edge = message->edge,
        .shard = file->shard,
        .kind = message->kind,
        .send = message->send,
        .click_us = message->click_us,
        .flight_us = world.us - message->sent_us,
        .clock_good = world.edge_ahead_ms[message->edge] == 0 && last <= now + STAMP_COUNTS,
        .value = record->stamp << 4 | world_kind(message->edge, record->kind),
        .ring_id = file->id,
        .position = record->position,
        .bytes = record_bytes(record),
    };
    /* A repeat without an age claims to have been clicked when it was sent. */
    if (message->age_ms == 0 && message->sent_us != message->click_us)
        request->clock_good = false;
    memcpy(request->copy,
           file->memory + RING_HEADER_BYTES + record->position % (file->bytes - RING_HEADER_BYTES),
           request->bytes);
    for (unsigned i = 0; i + 1 < judge.n_requests; i++)
        if (judge.requests[i].ring_id == request->ring_id &&
            judge.requests[i].value == request->value &&
            judge.requests[i].reader == request->reader &&
            judge.requests[i].article == request->article)
            judge_request_ring(request->ring_id)->twins = true;
    check_stamp(message, record, last);
    judge_counts.admitted++;
    world_tell("edge %u admits message %u: ring %016" PRIx64 " position %" PRIu64 " stamp %" PRIu64,
               message->edge, message->send, request->ring_id, request->position, record->stamp);
}

void judge_request_torn(void)
{
    judge.requests[judge.n_requests - 1].torn = judge.requests[judge.n_requests - 1].optional =
        true;
    world_tell("… and is killed in the middle of it");
}

void judge_request_quarantined(unsigned edge, const struct record *record)
{
    for (unsigned i = 0; i < judge.n_requests; i++)
        if (judge.requests[i].edge == edge && judge.requests[i].position == record->position &&
            judge.requests[i].value == (record->stamp << 4 | world_kind(edge, record->kind))) {
            judge.requests[i].optional = true;
            if (!redis.was_poisoned[judge.requests[i].shard])
                world_wrong("a reaction was quarantined that can be applied");
            return;
        }
    world_wrong("a reaction was quarantined that nobody made");
}

bool judge_request_whole(const struct judge_request *request, const struct files_ring *file)
{
    uint64_t capacity = file->bytes - RING_HEADER_BYTES;
    return memcmp(file->memory + RING_HEADER_BYTES + request->position % capacity, request->copy,
                  request->bytes) == 0;
}

/* Whether a torn record's place was given to the next one, which was acknowledged. */
static bool place_reused(const struct judge_request *torn)
{
    for (unsigned i = 0; i < judge.n_requests; i++)
        if (!judge.requests[i].torn && judge.requests[i].ring_id == torn->ring_id &&
            judge.requests[i].position == torn->position)
            return true;
    return false;
}

/* How many records came before a position. A torn one is there only where recovery finds it: after
 * a loss of power perhaps in the place of the one that followed it there, of which it then is the
 * sequence too. */
uint64_t judge_request_before(uint64_t ring_id, uint64_t position)
{
    uint64_t records = 0;
    for (unsigned i = 0; i < judge.n_requests; i++) {
        struct judge_request *request = &judge.requests[i];
        if (request->ring_id != ring_id || request->position >= position)
            continue;
        if (request->torn && !request->recovered) {
            const struct files_ring *file = files_find(ring_id);
            request->recovered =
                file != NULL && file->name == FILES_OLD && judge_request_whole(request, file);
        }
        records += !request->torn || (request->recovered && !place_reused(request));
    }
    return records;
}

/* Whether a record lies whole in a ring file from which it will be applied. */
bool judge_request_held(const struct judge_request *request)
{
    const struct files_ring *file = files_find(request->ring_id);
    if (file == NULL)
        return false;
    if (!judge_request_whole(request, file))
        return false;
    return file->name != FILES_RING || file->power_lost ||
           request->position >= ring_read_position(file->memory);
}

bool judge_request_applied(const struct judge_request *request)
{
    const struct redis_ring *ring = redis_find_ring(request->shard, request->ring_id);
    return ring != NULL ? request->position < ring->position
                        : redis_is_folded(request->shard, request->ring_id);
}

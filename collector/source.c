/* A current ring is read through the spool's consumer, an old one by the positions of a scan. */
#include "source.h"

#include "core/error.h"
#include "spool/ring_consumer.h"
#include "spool/ring_scan.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_MAX_RECORDS 100000 /* at one look */

struct source {
    void *memory;
    uint64_t bytes;
    struct ring_identity identity;
    bool old;

    struct batch_point acknowledged, released;
    struct ring_consumer consumer;
    struct ring_consumer counter; /* walks ahead, so that what waits can be counted */

    uint64_t *position; /* of an old ring's records, in order */
    size_t n, room, next;
    uint64_t end, damaged;
    bool scanned;
};

/* The consumer's position is the acknowledged position; it is also the released one unless that is
 * held back. The sequence there is known only from the record before it or after it. */
static void note_acknowledged(struct source *source)
{
    struct ring_consumer ahead = source->consumer;
    struct record record;
    bool same = source->consumer.next == source->acknowledged.position;
    source->counter = source->consumer;
    source->acknowledged =
        (struct batch_point){source->consumer.next, source->consumer.next_sequence};
    if (!source->consumer.sequence_known && ring_consumer_next(&ahead, &record) == 1)
        source->acknowledged.sequence = record.sequence;
    if (!same || source->released.position >= source->acknowledged.position)
        source->released = source->acknowledged;
}

struct source *source_new(void *memory, uint64_t bytes, const struct ring_identity *identity,
                          bool old, char *error, size_t error_bytes)
{
    struct source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        error_say(error, error_bytes, "no memory");
        return NULL;
    }
    source->memory = memory;
    source->bytes = bytes;
    source->identity = *identity;
    source->old = old;
    source->acknowledged.position = source->released.position = ring_applied_position(memory);
    if (old)
        return source;
    if (ring_consumer_open(&source->consumer, memory, bytes, error, error_bytes) != 0) {
        free(source);
        return NULL;
    }
    (void)ring_consumer_seek(&source->consumer, source->acknowledged.position);
    note_acknowledged(source);
    return source;
}

void source_free(struct source *source)
{
    if (source == NULL)
        return;
    free(source->position);
    free(source);
}

void *source_memory(const struct source *source)
{
    return source->memory;
}

const struct ring_identity *source_identity(const struct source *source)
{
    return &source->identity;
}

static int source_keep(void *user, const struct record *record)
{
    struct source *source = user;
    if (source->n == source->room) {
        size_t room = source->room == 0 ? 4096 : source->room * 2;
        uint64_t *more = realloc(source->position, room * sizeof *more);
        if (more == NULL)
            return 1;
        source->position = more;
        source->room = room;
    }
    source->position[source->n++] = record->position;
    return 0;
}

int source_scan(struct source *source)
{
    struct ring_scan found;
    if (!source->old || source->scanned)
        return 0;
    source->n = 0;
    if (ring_scan(source->memory, source->bytes, source_keep, source, &found) != 0)
        return -1;
    source->end = found.end;
    source->damaged = found.damaged;
    source->scanned = true;
    return 0;
}

uint64_t source_damaged(const struct source *source)
{
    return source->damaged;
}

struct apply_ring source_ring(const struct source *source)
{
    struct apply_ring ring = {.old = source->old, .acknowledged = source->acknowledged.position};
    if (source->old) {
        ring.oldest = source->n > 0 ? source->position[0] : 0;
        ring.end = source->end;
    } else {
        ring.oldest = source->consumer.read;
        ring.end = ring_write_position(source->memory);
    }
    return ring;
}

/* An old ring's record by its number. It was whole when it was scanned; -1 if the file has been
 * damaged since. */
static int read_old(const struct source *source, size_t i, struct record *out, uint64_t *end)
{
    uint64_t offset = source->position[i] % source->identity.capacity_bytes;
    size_t bytes = record_read((const unsigned char *)source->memory + RING_HEADER_BYTES + offset,
                               source->identity.capacity_bytes - offset, source->position[i],
                               source->identity.ring_id, out);
    *end = source->position[i] + bytes;
    return bytes == 0 ? -1 : 1;
}

/* The first record at or after `position`, by binary search. */
static size_t find_old(const struct source *source, uint64_t position)
{
    size_t low = 0, high = source->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (source->position[middle] < position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int seek_old(struct source *source, uint64_t position)
{
    struct record record;
    uint64_t end;
    size_t i = find_old(source, position);
    bool begins = i < source->n && source->position[i] == position;
    bool ends = i > 0 && read_old(source, i - 1, &record, &end) == 1 && end == position;
    bool fits = begins || ends || (i == 0 && position == 0);
    source->next = fits ? i : 0;
    return fits ? 0 : -1;
}

int source_seek(struct source *source, uint64_t position)
{
    if (source->old)
        return seek_old(source, position);
    if (ring_consumer_seek(&source->consumer, position) != 0)
        return -1;
    note_acknowledged(source);
    return 0;
}

/* A damaged record is counted only once, because the ring may be read again. */
static void drop_old(struct source *source, size_t i)
{
    source->damaged++;
    source->n--;
    memmove(source->position + i, source->position + i + 1,
            (source->n - i) * sizeof *source->position);
}

int source_next(struct source *source, struct record *out)
{
    uint64_t end;
    if (!source->old)
        return ring_consumer_next(&source->consumer, out);
    while (source->next < source->n) {
        if (read_old(source, source->next, out, &end) == 1) {
            source->next++;
            return 1;
        }
        drop_old(source, source->next);
    }
    return 0;
}

void source_back(struct source *source, const struct record *record)
{
    if (source->old) {
        source->next--;
        return;
    }
    source->consumer.next = record->position;
    source->consumer.next_sequence = record->sequence;
    source->consumer.sequence_known = true;
}

void source_acknowledged(struct source *source, struct batch_point point)
{
    source->acknowledged = point;
}

void source_release(struct source *source, struct batch_point point)
{
    source->released = point;
    if (!source->old)
        ring_consumer_applied(&source->consumer, point.position);
}

uint64_t source_backlog_bytes(const struct source *source)
{
    if (source->old)
        return source->next < source->n ? source->end - source->position[source->next] : 0;
    return ring_write_position(source->memory) - source->consumer.next;
}

/* Walks each record once, and skips those taken meanwhile. */
static void count_current(struct source *source)
{
    struct record record;
    if (source->counter.next < source->consumer.next)
        source->counter = source->consumer;
    for (int i = 0; i < COUNT_MAX_RECORDS && ring_consumer_next(&source->counter, &record) == 1;
         i++)
        ;
}

static void waiting_old(const struct source *source, uint64_t *records, uint64_t *bytes)
{
    if (source->scanned) {
        size_t i = find_old(source, source->released.position);
        *records = source->n - i;
        *bytes = i < source->n ? source->end - source->position[i] : 0;
        return;
    }
    uint64_t write = ring_write_position(source->memory);
    *records = 0;
    *bytes = write > source->released.position ? write - source->released.position : 0;
    if (*bytes > source->identity.capacity_bytes)
        *bytes = source->identity.capacity_bytes;
}

void source_waiting(struct source *source, uint64_t *records, uint64_t *bytes)
{
    if (source->old) {
        waiting_old(source, records, bytes);
        return;
    }
    count_current(source);
    *bytes = ring_write_position(source->memory) - source->released.position;
    *records = source->counter.next > source->released.position &&
                       source->counter.next_sequence > source->released.sequence
                   ? source->counter.next_sequence - source->released.sequence
                   : 0;
}

uint64_t source_room_bytes(const struct source *source)
{
    uint64_t used = ring_write_position(source->memory) - source->acknowledged.position;
    uint64_t capacity = source->identity.capacity_bytes;
    return used < capacity ? capacity - used : 0;
}

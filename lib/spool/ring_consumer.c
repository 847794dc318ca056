/* The reading side of a ring: takes records in order, and frees them when they were applied. */
#include "spool/ring_consumer.h"

#include "spool/ring.h"
#include "spool/ring_walk.h"

int ring_consumer_open(struct ring_consumer *consumer, void *memory, uint64_t bytes, char *error,
                       size_t error_bytes)
{
    struct ring_walk walk;
    uint64_t read, write;

    if (ring_walk_open(memory, bytes, &walk, &read, &write, error, error_bytes) != 0)
        return -1;
    *consumer = (struct ring_consumer){
        .memory = memory,
        .ring_id = walk.ring_id,
        .capacity_bytes = walk.capacity_bytes,
        .read = read,
        .next = read,
        .write_seen = write,
        .next_sequence = 0,
        .sequence_known = read == 0,
    };
    return 0;
}

static struct ring_walk walk_of(const struct ring_consumer *consumer)
{
    return (struct ring_walk){consumer->memory, consumer->ring_id, consumer->capacity_bytes};
}

int ring_consumer_next(struct ring_consumer *consumer, struct record *out)
{
    struct ring_walk walk = walk_of(consumer);

    for (;;) {
        if (consumer->next == consumer->write_seen) {
            consumer->write_seen = ring_write_position(consumer->memory);
            if (consumer->next == consumer->write_seen)
                return 0;
        }
        uint64_t next = ring_walk_step(&walk, consumer->next, consumer->write_seen, out);
        if (next == consumer->next)
            return -1;
        if (out->article_bytes == 0) {
            consumer->next = next;
            continue;
        }
        if (consumer->sequence_known && out->sequence != consumer->next_sequence)
            return -1;
        consumer->next = next;
        consumer->next_sequence = out->sequence + 1;
        consumer->sequence_known = true;
        return 1;
    }
}

int ring_consumer_seek(struct ring_consumer *consumer, uint64_t position)
{
    struct ring_walk walk = walk_of(consumer);
    uint64_t at = consumer->read, write = ring_write_position(consumer->memory);
    uint64_t sequence = 0;
    bool known = at == 0;

    if (position < at || position > write)
        return -1;
    while (at < position) {
        struct record record;
        uint64_t next = ring_walk_step(&walk, at, write, &record);
        if (next == at)
            return -1;
        at = next;
        if (record.article_bytes > 0) {
            sequence = record.sequence + 1;
            known = true;
        }
    }
    if (at != position)
        return -1;
    consumer->next = position;
    consumer->write_seen = write;
    consumer->next_sequence = sequence;
    consumer->sequence_known = known;
    return 0;
}

void ring_consumer_applied(struct ring_consumer *consumer, uint64_t position)
{
    struct ring_walk walk = walk_of(consumer);
    uint64_t write = ring_write_position(consumer->memory), read = consumer->read;

    if (position > write)
        position = write;
    ring_set_applied_position(consumer->memory, position);
    if (position > consumer->next)
        position = consumer->next;
    while (read < position && write - read > consumer->capacity_bytes / 2) {
        struct record record;
        uint64_t next = ring_walk_step(&walk, read, write, &record);
        if (next == read) {
            /* Damaged after it was applied: nothing more could ever be freed. */
            ring_want_rotation(consumer->memory);
            break;
        }
        if (next > position)
            break;
        read = next;
    }
    if (read != consumer->read) {
        consumer->read = read;
        ring_set_read_position(consumer->memory, read);
    }
}

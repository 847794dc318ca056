/* The writing side of a ring. Space is reserved before a record is written, an idea of beanstalkd's
 * walg.c. */
#include "spool/ring_producer.h"

#include "core/error.h"
#include "spool/ring.h"
#include "spool/ring_walk.h"

int ring_producer_open(struct ring_producer *producer, void *memory, uint64_t bytes, char *error,
                       size_t error_bytes)
{
    struct ring_walk walk;
    uint64_t position, write, sequence = 0;
    bool first = true;

    if (ring_walk_open(memory, bytes, &walk, &position, &write, error, error_bytes) != 0)
        return -1;
    uint64_t read = position;
    if (read == write && write != 0)
        return error_say(error, error_bytes, "ring: empty at %llu, its sequence is not known",
                         (unsigned long long)write);
    while (position < write) {
        struct record record;
        uint64_t next = ring_walk_step(&walk, position, write, &record);
        if (next == position)
            return error_say(error, error_bytes, "ring: no whole record at %llu",
                             (unsigned long long)position);
        position = next;
        if (record.article_bytes == 0)
            continue;
        if (record.sequence != sequence && !(first && read != 0))
            return error_say(error, error_bytes, "ring: sequence %llu instead of %llu",
                             (unsigned long long)record.sequence, (unsigned long long)sequence);
        sequence = record.sequence + 1;
        first = false;
    }
    *producer = (struct ring_producer){
        .memory = memory,
        .ring_id = walk.ring_id,
        .capacity_bytes = walk.capacity_bytes,
        .write = write,
        .read_seen = read,
        .sequence = sequence,
    };
    return 0;
}

int ring_producer_append(struct ring_producer *producer, struct record *record)
{
    uint64_t capacity = producer->capacity_bytes;
    uint64_t offset = producer->write % capacity;
    uint64_t bytes = record_bytes(record);
    uint64_t filler = bytes > capacity - offset ? capacity - offset : 0;
    unsigned char *data = producer->memory + RING_HEADER_BYTES;

    if (producer->write + filler + bytes - producer->read_seen > capacity) {
        producer->read_seen = ring_read_position(producer->memory);
        if (producer->write + filler + bytes - producer->read_seen > capacity)
            return -1;
    }
    if (filler > 0) {
        record_write_filler(producer->write, producer->ring_id, data + offset);
        offset = 0;
    }
    record->position = producer->write + filler;
    record->sequence = producer->sequence;
    record_write(record, producer->ring_id, data + offset);
    producer->write = record->position + bytes;
    producer->sequence++;
    ring_set_write_position(producer->memory, producer->write);
    return 0;
}

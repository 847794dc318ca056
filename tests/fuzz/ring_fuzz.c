/* Any bytes as a ring: recovery (ring_scan), the producer that would continue it and the consumer
 * that would read it. */
#include "ring_layout.h"
#include "spool/ring_consumer.h"
#include "spool/ring_producer.h"
#include "spool/ring_scan.h"

#define STEPS_MAX                                                                                  \
    (4u * RING_CAPACITY / RECORD_ALIGN) /* more than a ring can hold: a walk that long never ends  \
                                         */

struct seen {
    const unsigned char *memory;
    uint64_t ring_id, n, stop_after, last_position, first_position, last_sequence;
};

static int on_record(void *user, const struct record *record)
{
    struct seen *seen = user;
    const unsigned char *at = (const unsigned char *)record->article - RECORD_HEAD_BYTES;
    struct record again;
    FUZZ_CHECK(at >= seen->memory + RING_HEADER_BYTES &&
               at + record_bytes(record) <= seen->memory + RING_BYTES);
    FUZZ_CHECK(record_read(at, (size_t)(seen->memory + RING_BYTES - at), record->position,
                           seen->ring_id, &again) == record_bytes(record));
    if (seen->n == 0)
        seen->first_position = record->position;
    else
        FUZZ_CHECK(record->position > seen->last_position &&
                   record->sequence > seen->last_sequence);
    FUZZ_CHECK(record->position + record_bytes(record) - seen->first_position <= RING_CAPACITY);
    seen->last_position = record->position;
    seen->last_sequence = record->sequence;
    return ++seen->n == seen->stop_after ? 7 : 0;
}

static void check_scan(const unsigned char *memory, uint64_t ring_id)
{
    struct seen seen = {.memory = memory, .ring_id = ring_id};
    struct ring_scan all, part;
    FUZZ_CHECK(ring_scan(memory, RING_BYTES, on_record, &seen, &all) == 0);
    FUZZ_CHECK(all.records == seen.n && all.records <= RING_CAPACITY / RECORD_MIN_BYTES);
    if (seen.n == 0) {
        FUZZ_CHECK(all.oldest == 0 && all.end == 0);
        return;
    }
    FUZZ_CHECK(all.oldest == seen.first_position && all.oldest < all.end &&
               all.end_sequence == seen.last_sequence + 1);
    uint64_t half = (seen.n + 1) / 2;
    seen = (struct seen){.memory = memory, .ring_id = ring_id, .stop_after = half};
    FUZZ_CHECK(ring_scan(memory, RING_BYTES, on_record, &seen, &part) == 7 && part.records == half);
}

/* Takes all that there is; returns how many, or -1 where damage was met. */
static int take_all(struct ring_consumer *consumer, uint64_t *end)
{
    struct record record;
    int taken = 0, answer;
    while ((answer = ring_consumer_next(consumer, &record)) == 1) {
        FUZZ_CHECK(++taken <= (int)STEPS_MAX);
        *end = record.position + record_bytes(&record);
        FUZZ_CHECK(consumer->next == *end);
    }
    if (answer == 0)
        return taken;
    FUZZ_CHECK(ring_consumer_next(consumer, &record) == -1); /* the result stays the same */
    return -1;
}

static void check_consumer(unsigned char *memory, uint64_t applied)
{
    struct ring_consumer consumer;
    uint64_t end = 0;
    if (ring_consumer_open(&consumer, memory, RING_BYTES, NULL) != 0)
        return;
    uint64_t read = consumer.read;
    int taken = take_all(&consumer, &end);
    if (taken > 0) {
        uint64_t next = consumer.next;
        FUZZ_CHECK(ring_consumer_seek(&consumer, next) == 0 && consumer.next == next);
        FUZZ_CHECK(ring_consumer_seek(&consumer, end + 1) == -1);
    }
    (void)ring_consumer_seek(&consumer, applied);
    ring_consumer_applied(&consumer, applied);
    uint64_t write = ring_write_position(memory);
    FUZZ_CHECK(consumer.read >= read && consumer.read <= consumer.next && consumer.next <= write);
    FUZZ_CHECK(ring_applied_position(memory) <= write);
    FUZZ_CHECK(ring_read_position(memory) == consumer.read);
}

/* Appends until the ring is full: then exactly those, and what was there, can be read. */
static void check_producer(unsigned char *memory)
{
    struct ring_producer producer;
    struct ring_consumer consumer;
    struct record record = {.article = "a/b", .article_bytes = 3, .kind = 1, .stamp = 1};
    uint64_t end = 0;
    int stood, appended = 0;
    if (ring_producer_open(&producer, memory, RING_BYTES, NULL) != 0)
        return;
    FUZZ_CHECK(ring_consumer_open(&consumer, memory, RING_BYTES, NULL) == 0);
    FUZZ_CHECK((stood = take_all(&consumer, &end)) >= 0);
    if (producer.write > UINT64_MAX / 2) /* 250 years at 2^30 bytes a second */
        return;
    while (ring_producer_append(&producer, &record) == 0)
        FUZZ_CHECK(++appended <= (int)STEPS_MAX);
    FUZZ_CHECK(take_all(&consumer, &end) == appended);
    FUZZ_CHECK(ring_write_position(memory) - ring_read_position(memory) <= RING_CAPACITY);
    FUZZ_CHECK(ring_producer_open(&producer, memory, RING_BYTES, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    struct ring_identity identity, got, again;
    unsigned char header[RING_HEADER_BYTES];
    struct error error = {0};
    unsigned char *memory = aligned_alloc(RING_HEADER_BYTES, RING_BYTES);
    if (memory == NULL)
        abort();
    unsigned fit = (unsigned)fuzz_number(&in, 1);
    uint64_t applied = fuzz_number(&in, 2);
    ring_identity(&identity);
    ring_lay_out(memory, &identity, fit, &in);
    bool known = ring_identify(memory, RING_BYTES, &got, &error) == 0;
    FUZZ_CHECK(known == (error.text[0] == '\0'));
    if (known) {
        FUZZ_CHECK(got.capacity_bytes == RING_CAPACITY && got.shard < got.shards &&
                   got.ring_id != 0);
        ring_format(header, &got);
        memcpy(memory, header, RING_CRC_AT + 4);
        FUZZ_CHECK(ring_identify(memory, RING_BYTES, &again, NULL) == 0 &&
                   memcmp(&got, &again, sizeof got) == 0);
        check_scan(memory, got.ring_id);
        check_consumer(memory, applied);
        check_producer(memory);
        check_scan(memory, got.ring_id);
    } else {
        FUZZ_CHECK(ring_scan(memory, RING_BYTES, NULL, NULL, NULL) == -1);
    }
    free(memory);
    return 0;
}

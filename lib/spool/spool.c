#include "spool/spool.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/error.h"

#include <string.h>

/* Offsets in the header (FORMATS.md 4.2). Fields written by different sides are on different cache
 * lines. */
#define OFFSET_VERSION 8u
#define OFFSET_HEADER_BYTES 12u
#define OFFSET_CAPACITY 16u
#define OFFSET_SHARD 24u
#define OFFSET_SHARDS 28u
#define OFFSET_RING_ID 32u
#define OFFSET_BOOT_ID 40u
#define OFFSET_FINGERPRINT 56u
#define OFFSET_EDGE_ID 64u
#define OFFSET_MADE 72u
#define OFFSET_KINDS 80u
#define OFFSET_KIND_NAMES 96u
#define OFFSET_CRC 336u
#define OFFSET_WRITE 512u
#define OFFSET_READ 640u
#define OFFSET_APPLIED 648u
#define OFFSET_STORE 656u
#define OFFSET_ROTATE 664u

#define CAPACITY_UNIT 4096u

/* No ring gets here: that takes 4 GiB a second for 34 years. So no sum of positions and lengths
 * overflows. */
#define POSITION_MAX (1ull << 62)

static const char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'R', 'N', 'G'};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the mapped counters are stored in the processor's own order");
_Static_assert(OFFSET_KIND_NAMES + KIND_MAX * KIND_NAME_MAX_BYTES == OFFSET_CRC, "kind names");

static uint64_t *field(const void *memory, size_t offset)
{
    return (uint64_t *)((unsigned char *)(uintptr_t)memory + offset);
}

static uint64_t load(const void *memory, size_t offset)
{
    return __atomic_load_n(field(memory, offset), __ATOMIC_ACQUIRE);
}

static void store(void *memory, size_t offset, uint64_t value)
{
    __atomic_store_n(field(memory, offset), value, __ATOMIC_RELEASE);
}

static uint32_t *rotate_flag(const void *memory)
{
    return (uint32_t *)((unsigned char *)(uintptr_t)memory + OFFSET_ROTATE);
}

/* --- header --- */

void spool_format(void *memory, const struct spool_identity *identity)
{
    unsigned char *out = memory;

    memset(out, 0, SPOOL_HEADER_BYTES);
    memcpy(out, magic, sizeof magic);
    bytes_put_u32(out + OFFSET_VERSION, SPOOL_VERSION);
    bytes_put_u32(out + OFFSET_HEADER_BYTES, SPOOL_HEADER_BYTES);
    bytes_put_u64(out + OFFSET_CAPACITY, identity->capacity_bytes);
    bytes_put_u32(out + OFFSET_SHARD, identity->shard);
    bytes_put_u32(out + OFFSET_SHARDS, identity->shards);
    bytes_put_u64(out + OFFSET_RING_ID, identity->ring_id);
    memcpy(out + OFFSET_BOOT_ID, identity->boot_id, SPOOL_BOOT_ID_BYTES);
    memcpy(out + OFFSET_FINGERPRINT, identity->fingerprint, SPOOL_FINGERPRINT_BYTES);
    bytes_put_u64(out + OFFSET_EDGE_ID, identity->edge_id);
    bytes_put_u64(out + OFFSET_MADE, identity->made_ms);
    bytes_put_u32(out + OFFSET_KINDS, (uint32_t)identity->kinds.n);
    for (int i = 1; i <= identity->kinds.n; i++)
        memcpy(out + OFFSET_KIND_NAMES + (size_t)(i - 1) * KIND_NAME_MAX_BYTES,
               identity->kinds.name[i], KIND_NAME_MAX_BYTES);
    bytes_put_u32(out + OFFSET_CRC, crc32c(0, out, OFFSET_CRC));
}

static int identify_kinds(const unsigned char *in, struct kind_table *kinds, char *error,
                          size_t error_bytes)
{
    uint32_t n = bytes_get_u32(in + OFFSET_KINDS);
    kind_table_init(kinds);
    if (n > KIND_MAX)
        return error_say(error, error_bytes, "ring header: %u kinds", n);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = (const char *)in + OFFSET_KIND_NAMES + (size_t)i * KIND_NAME_MAX_BYTES;
        if (kind_table_add(kinds, name, strnlen(name, KIND_NAME_MAX_BYTES)) == KIND_UNKNOWN)
            return error_say(error, error_bytes, "ring header: kind %u has no valid name", i + 1);
    }
    return 0;
}

int spool_identify(const void *memory, uint64_t bytes, struct spool_identity *out, char *error,
                   size_t error_bytes)
{
    const unsigned char *in = memory;

    if (bytes < SPOOL_HEADER_BYTES)
        return error_say(error, error_bytes, "ring header: only %llu bytes",
                         (unsigned long long)bytes);
    if (memcmp(in, magic, sizeof magic) != 0)
        return error_say(error, error_bytes, "ring header: no ring");
    if (bytes_get_u32(in + OFFSET_VERSION) != SPOOL_VERSION)
        return error_say(error, error_bytes, "ring header: version %u instead of %u",
                         bytes_get_u32(in + OFFSET_VERSION), SPOOL_VERSION);
    if (bytes_get_u32(in + OFFSET_CRC) != crc32c(0, in, OFFSET_CRC))
        return error_say(error, error_bytes, "ring header: damaged (CRC)");

    memset(out, 0, sizeof *out);
    out->capacity_bytes = bytes_get_u64(in + OFFSET_CAPACITY);
    out->shard = bytes_get_u32(in + OFFSET_SHARD);
    out->shards = bytes_get_u32(in + OFFSET_SHARDS);
    out->ring_id = bytes_get_u64(in + OFFSET_RING_ID);
    memcpy(out->boot_id, in + OFFSET_BOOT_ID, SPOOL_BOOT_ID_BYTES);
    memcpy(out->fingerprint, in + OFFSET_FINGERPRINT, SPOOL_FINGERPRINT_BYTES);
    out->edge_id = bytes_get_u64(in + OFFSET_EDGE_ID);
    out->made_ms = bytes_get_u64(in + OFFSET_MADE);
    if (bytes_get_u32(in + OFFSET_HEADER_BYTES) != SPOOL_HEADER_BYTES || out->ring_id == 0 ||
        out->capacity_bytes < SPOOL_CAPACITY_MIN_BYTES ||
        out->capacity_bytes > SPOOL_CAPACITY_MAX_BYTES ||
        out->capacity_bytes % CAPACITY_UNIT != 0 || out->shard >= out->shards)
        return error_say(error, error_bytes, "ring header: impossible capacity, shard or id");
    if (bytes != SPOOL_HEADER_BYTES + out->capacity_bytes)
        return error_say(error, error_bytes, "ring of %llu bytes instead of %llu",
                         (unsigned long long)bytes,
                         (unsigned long long)(SPOOL_HEADER_BYTES + out->capacity_bytes));
    return identify_kinds(in, &out->kinds, error, error_bytes);
}

/* --- walking over the contents of a ring --- */

/* The state of a walk over a ring. Both sides' structs hold these fields. */
struct view {
    unsigned char *memory;
    uint64_t ring_id, capacity_bytes;
};

/* Whether a record can be there at all: every record before it took at least the minimum size. A
 * record that passes the checksum by chance, or that another program wrote, must not upset the
 * counting. */
static bool record_possible(const struct record *record)
{
    return record->position <= POSITION_MAX &&
           record->sequence <= record->position / RECORD_MIN_BYTES;
}

/* Reads the record or filler at `position`. Returns the position after it, or `position` itself if
 * nothing whole is there. A filler leaves article_bytes 0. */
static uint64_t step(const struct view *view, uint64_t position, uint64_t end, struct record *out)
{
    uint64_t offset = position % view->capacity_bytes;
    uint64_t to_end = view->capacity_bytes - offset;
    size_t bytes = record_read(view->memory + SPOOL_HEADER_BYTES + offset, to_end, position,
                               view->ring_id, out);
    if (!record_possible(out))
        return position;
    uint64_t taken = bytes > 0 && out->article_bytes == 0 ? to_end : bytes;
    return taken <= end - position ? position + taken : position;
}

/* Whether the header's positions are possible. */
static bool positions_possible(uint64_t read, uint64_t write, uint64_t capacity_bytes)
{
    return read <= write && write <= POSITION_MAX && write - read <= capacity_bytes &&
           read % RECORD_ALIGN == 0 && write % RECORD_ALIGN == 0;
}

/* Identifies the ring and loads its positions. */
static int open_ring(void *memory, uint64_t bytes, struct view *view, uint64_t *read,
                     uint64_t *write, char *error, size_t error_bytes)
{
    struct spool_identity identity;
    if (spool_identify(memory, bytes, &identity, error, error_bytes) != 0)
        return -1;
    *view = (struct view){memory, identity.ring_id, identity.capacity_bytes};
    /* Loads the read position first: it never passes the write position, which only rises. */
    *read = load(memory, OFFSET_READ);
    *write = spool_write_position(memory);
    if (!positions_possible(*read, *write, identity.capacity_bytes))
        return error_say(error, error_bytes,
                         "ring header: impossible positions, read %llu write %llu",
                         (unsigned long long)*read, (unsigned long long)*write);
    return 0;
}

/* --- producer --- */

int spool_producer_open(struct spool_producer *producer, void *memory, uint64_t bytes, char *error,
                        size_t error_bytes)
{
    struct view view;
    uint64_t position, write, sequence = 0;
    bool first = true;

    if (open_ring(memory, bytes, &view, &position, &write, error, error_bytes) != 0)
        return -1;
    uint64_t read = position;
    if (read == write && write != 0)
        return error_say(error, error_bytes, "ring: empty at %llu, its sequence is not known",
                         (unsigned long long)write);
    while (position < write) {
        struct record record;
        uint64_t next = step(&view, position, write, &record);
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
    *producer = (struct spool_producer){
        .memory = memory,
        .ring_id = view.ring_id,
        .capacity_bytes = view.capacity_bytes,
        .write = write,
        .read_seen = read,
        .sequence = sequence,
    };
    return 0;
}

int spool_append(struct spool_producer *producer, struct record *record)
{
    uint64_t capacity = producer->capacity_bytes;
    uint64_t offset = producer->write % capacity;
    uint64_t bytes = record_bytes(record);
    uint64_t filler = bytes > capacity - offset ? capacity - offset : 0;
    unsigned char *data = producer->memory + SPOOL_HEADER_BYTES;

    if (producer->write + filler + bytes - producer->read_seen > capacity) {
        producer->read_seen = load(producer->memory, OFFSET_READ);
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
    __atomic_store_n(field(producer->memory, OFFSET_WRITE), producer->write, __ATOMIC_SEQ_CST);
    return 0;
}

bool spool_rotate_wanted(const void *memory)
{
    return __atomic_load_n(rotate_flag(memory), __ATOMIC_RELAXED) != 0;
}

/* --- consumer --- */

int spool_consumer_open(struct spool_consumer *consumer, void *memory, uint64_t bytes, char *error,
                        size_t error_bytes)
{
    struct view view;
    uint64_t read, write;

    if (open_ring(memory, bytes, &view, &read, &write, error, error_bytes) != 0)
        return -1;
    *consumer = (struct spool_consumer){
        .memory = memory,
        .ring_id = view.ring_id,
        .capacity_bytes = view.capacity_bytes,
        .read = read,
        .next = read,
        .write_seen = write,
        .next_sequence = 0,
        .sequence_known = read == 0,
    };
    return 0;
}

uint64_t spool_write_position(const void *memory)
{
    return __atomic_load_n(field(memory, OFFSET_WRITE), __ATOMIC_SEQ_CST);
}

static struct view view_of(const struct spool_consumer *consumer)
{
    return (struct view){consumer->memory, consumer->ring_id, consumer->capacity_bytes};
}

int spool_take(struct spool_consumer *consumer, struct record *out)
{
    struct view view = view_of(consumer);

    for (;;) {
        if (consumer->next == consumer->write_seen) {
            consumer->write_seen = spool_write_position(consumer->memory);
            if (consumer->next == consumer->write_seen)
                return 0;
        }
        uint64_t next = step(&view, consumer->next, consumer->write_seen, out);
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

int spool_seek(struct spool_consumer *consumer, uint64_t position)
{
    struct view view = view_of(consumer);
    uint64_t at = consumer->read, write = spool_write_position(consumer->memory);
    uint64_t sequence = 0;
    bool known = at == 0;

    if (position < at || position > write)
        return -1;
    while (at < position) {
        struct record record;
        uint64_t next = step(&view, at, write, &record);
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

void spool_applied(struct spool_consumer *consumer, uint64_t position)
{
    struct view view = view_of(consumer);
    uint64_t write = spool_write_position(consumer->memory), read = consumer->read;

    if (position > write)
        position = write;
    store(consumer->memory, OFFSET_APPLIED, position);
    if (position > consumer->next)
        position = consumer->next;
    while (read < position && write - read > consumer->capacity_bytes / 2) {
        struct record record;
        uint64_t next = step(&view, read, write, &record);
        if (next == read) {
            /* Damaged after it was applied: nothing more could ever be freed. */
            spool_want_rotation(consumer->memory);
            break;
        }
        if (next > position)
            break;
        read = next;
    }
    if (read != consumer->read) {
        consumer->read = read;
        store(consumer->memory, OFFSET_READ, read);
    }
}

uint64_t spool_applied_position(const void *memory)
{
    return load(memory, OFFSET_APPLIED);
}

uint64_t spool_read_position(const void *memory)
{
    return load(memory, OFFSET_READ);
}

uint64_t spool_store_id(const void *memory)
{
    return load(memory, OFFSET_STORE);
}

void spool_set_store_id(void *memory, uint64_t store_id)
{
    store(memory, OFFSET_STORE, store_id);
}

void spool_want_rotation(void *memory)
{
    __atomic_store_n(rotate_flag(memory), 1u, __ATOMIC_RELAXED);
}

/* --- recovery --- */

/* The length of the whole record at `offset`, whatever its position, or 0. */
static size_t whole_at(const struct view *view, uint64_t offset, struct record *out)
{
    const unsigned char *in = view->memory + SPOOL_HEADER_BYTES + offset;
    uint64_t available = view->capacity_bytes - offset;
    if (available < RECORD_MIN_BYTES)
        return 0;
    uint64_t position = record_position(in);
    if (position % view->capacity_bytes != offset)
        return 0;
    size_t bytes = record_read(in, available, position, view->ring_id, out);
    return out->article_bytes > 0 && record_possible(out) ? bytes : 0;
}

/* The end of the newest whole record, or 0 if there are none. */
static uint64_t newest_end(const struct view *view)
{
    uint64_t end = 0;
    for (uint64_t offset = 0; offset < view->capacity_bytes;) {
        struct record record;
        size_t bytes = whole_at(view, offset, &record);
        if (bytes > 0 && record.position + bytes > end)
            end = record.position + bytes;
        offset += bytes > 0 ? bytes : RECORD_ALIGN;
    }
    return end;
}

struct scanning {
    struct view view;
    uint64_t end; /* of the newest record */
    spool_scan_fn fn;
    void *user;
    struct spool_scan found;
};

/* Reports the records from offset `from` to `to` that lie within a capacity of the newest. */
static int scan_range(struct scanning *scanning, uint64_t from, uint64_t to)
{
    struct spool_scan *found = &scanning->found;

    for (uint64_t offset = from; offset < to;) {
        struct record record;
        size_t bytes = whole_at(&scanning->view, offset, &record);
        offset += bytes > 0 ? bytes : RECORD_ALIGN;
        if (bytes == 0 || scanning->end - record.position > scanning->view.capacity_bytes)
            continue;
        if (found->records == 0) {
            found->oldest = record.position;
            found->oldest_sequence = record.sequence;
        } else if (record.sequence < found->end_sequence) {
            found->damaged++;
            continue;
        } else {
            found->damaged += record.sequence - found->end_sequence;
        }
        found->records++;
        found->end = record.position + bytes;
        found->end_sequence = record.sequence + 1;
        int answer = scanning->fn == NULL ? 0 : scanning->fn(scanning->user, &record);
        if (answer != 0)
            return answer;
    }
    return 0;
}

/* The position after the filler at `position`, or `position` if there is none. */
static uint64_t after_filler(const struct view *view, uint64_t position)
{
    struct record record;
    uint64_t next = step(view, position, UINT64_MAX, &record);
    return record.article_bytes == 0 ? next : position;
}

/* What the header's positions say about records before the oldest and after the newest. The
 * positions may be older than the data, but any record they cover that no later lap overwrote must
 * be there. */
static uint64_t missing_at_ends(const struct scanning *scanning)
{
    const struct spool_scan *found = &scanning->found;
    uint64_t capacity = scanning->view.capacity_bytes;
    uint64_t read = load(scanning->view.memory, OFFSET_READ);
    uint64_t write = spool_write_position(scanning->view.memory);
    uint64_t missing = 0;

    if (!positions_possible(read, write, capacity))
        return 1;
    if (found->records == 0)
        return write > read ? 1 : 0;
    bool in_reach = read < found->oldest && found->end - read <= capacity;
    if (in_reach && after_filler(&scanning->view, read) < found->oldest)
        missing += read == 0 ? found->oldest_sequence : 1;
    if (write > found->end)
        missing++;
    return missing;
}

int spool_scan(const void *memory, uint64_t bytes, spool_scan_fn fn, void *user,
               struct spool_scan *out)
{
    struct spool_identity identity;
    struct scanning scanning = {.fn = fn, .user = user};

    if (out != NULL)
        memset(out, 0, sizeof *out);
    if (spool_identify(memory, bytes, &identity, NULL, 0) != 0)
        return -1;
    scanning.view = (struct view){(unsigned char *)(uintptr_t)memory, identity.ring_id,
                                  identity.capacity_bytes};
    scanning.end = newest_end(&scanning.view);
    /* The oldest record follows the newest: first the previous lap, then this one. */
    uint64_t turn = scanning.end % identity.capacity_bytes;
    int answer = scan_range(&scanning, turn, identity.capacity_bytes);
    if (answer == 0)
        answer = scan_range(&scanning, 0, turn);
    if (answer == 0)
        scanning.found.damaged += missing_at_ends(&scanning);
    if (out != NULL)
        *out = scanning.found;
    return answer;
}

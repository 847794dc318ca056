/* A ring's header: its identity, and the positions and marks that its two sides exchange. */
#include "spool/ring.h"

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

static const char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'R', 'N', 'G'};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the mapped counters are stored in the processor's own order");
_Static_assert(OFFSET_KIND_NAMES + KIND_MAX * KIND_NAME_MAX_BYTES == OFFSET_CRC, "kind names");

static uint64_t *field(const void *memory, size_t offset)
{
    return (uint64_t *)((unsigned char *)(uintptr_t)memory + offset);
}

static uint64_t ring_load(const void *memory, size_t offset)
{
    return __atomic_load_n(field(memory, offset), __ATOMIC_ACQUIRE);
}

static void ring_store(void *memory, size_t offset, uint64_t value)
{
    __atomic_store_n(field(memory, offset), value, __ATOMIC_RELEASE);
}

static uint32_t *rotate_flag(const void *memory)
{
    return (uint32_t *)((unsigned char *)(uintptr_t)memory + OFFSET_ROTATE);
}

/* --- identity --- */

void ring_format(void *memory, const struct ring_identity *identity)
{
    unsigned char *out = memory;

    memset(out, 0, RING_HEADER_BYTES);
    memcpy(out, magic, sizeof magic);
    bytes_put_u32(out + OFFSET_VERSION, RING_VERSION);
    bytes_put_u32(out + OFFSET_HEADER_BYTES, RING_HEADER_BYTES);
    bytes_put_u64(out + OFFSET_CAPACITY, identity->capacity_bytes);
    bytes_put_u32(out + OFFSET_SHARD, identity->shard);
    bytes_put_u32(out + OFFSET_SHARDS, identity->shards);
    bytes_put_u64(out + OFFSET_RING_ID, identity->ring_id);
    memcpy(out + OFFSET_BOOT_ID, identity->boot_id, RING_BOOT_ID_BYTES);
    memcpy(out + OFFSET_FINGERPRINT, identity->fingerprint, RING_FINGERPRINT_BYTES);
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

int ring_identify(const void *memory, uint64_t bytes, struct ring_identity *out, char *error,
                  size_t error_bytes)
{
    const unsigned char *in = memory;

    if (bytes < RING_HEADER_BYTES)
        return error_say(error, error_bytes, "ring header: only %llu bytes",
                         (unsigned long long)bytes);
    if (memcmp(in, magic, sizeof magic) != 0)
        return error_say(error, error_bytes, "ring header: no ring");
    if (bytes_get_u32(in + OFFSET_VERSION) != RING_VERSION)
        return error_say(error, error_bytes, "ring header: version %u instead of %u",
                         bytes_get_u32(in + OFFSET_VERSION), RING_VERSION);
    if (bytes_get_u32(in + OFFSET_CRC) != crc32c(0, in, OFFSET_CRC))
        return error_say(error, error_bytes, "ring header: damaged (CRC)");

    memset(out, 0, sizeof *out);
    out->capacity_bytes = bytes_get_u64(in + OFFSET_CAPACITY);
    out->shard = bytes_get_u32(in + OFFSET_SHARD);
    out->shards = bytes_get_u32(in + OFFSET_SHARDS);
    out->ring_id = bytes_get_u64(in + OFFSET_RING_ID);
    memcpy(out->boot_id, in + OFFSET_BOOT_ID, RING_BOOT_ID_BYTES);
    memcpy(out->fingerprint, in + OFFSET_FINGERPRINT, RING_FINGERPRINT_BYTES);
    out->edge_id = bytes_get_u64(in + OFFSET_EDGE_ID);
    out->made_ms = bytes_get_u64(in + OFFSET_MADE);
    if (bytes_get_u32(in + OFFSET_HEADER_BYTES) != RING_HEADER_BYTES || out->ring_id == 0 ||
        out->capacity_bytes < RING_CAPACITY_MIN_BYTES ||
        out->capacity_bytes > RING_CAPACITY_MAX_BYTES || out->capacity_bytes % CAPACITY_UNIT != 0 ||
        out->shard >= out->shards)
        return error_say(error, error_bytes, "ring header: impossible capacity, shard or id");
    if (bytes != RING_HEADER_BYTES + out->capacity_bytes)
        return error_say(error, error_bytes, "ring of %llu bytes instead of %llu",
                         (unsigned long long)bytes,
                         (unsigned long long)(RING_HEADER_BYTES + out->capacity_bytes));
    return identify_kinds(in, &out->kinds, error, error_bytes);
}

/* --- positions and marks --- */

uint64_t ring_write_position(const void *memory)
{
    return __atomic_load_n(field(memory, OFFSET_WRITE), __ATOMIC_SEQ_CST);
}

void ring_set_write_position(void *memory, uint64_t position)
{
    __atomic_store_n(field(memory, OFFSET_WRITE), position, __ATOMIC_SEQ_CST);
}

uint64_t ring_applied_position(const void *memory)
{
    return ring_load(memory, OFFSET_APPLIED);
}

uint64_t ring_read_position(const void *memory)
{
    return ring_load(memory, OFFSET_READ);
}

void ring_set_applied_position(void *memory, uint64_t position)
{
    ring_store(memory, OFFSET_APPLIED, position);
}

void ring_set_read_position(void *memory, uint64_t position)
{
    ring_store(memory, OFFSET_READ, position);
}

uint64_t ring_store_id(const void *memory)
{
    return ring_load(memory, OFFSET_STORE);
}

void ring_set_store_id(void *memory, uint64_t store_id)
{
    ring_store(memory, OFFSET_STORE, store_id);
}

void ring_want_rotation(void *memory)
{
    __atomic_store_n(rotate_flag(memory), 1u, __ATOMIC_RELAXED);
}

bool ring_rotation_wanted(const void *memory)
{
    return __atomic_load_n(rotate_flag(memory), __ATOMIC_RELAXED) != 0;
}

/* Walks over the records and fillers of a ring, and refuses what cannot be there. */
#include "spool/ring_walk.h"

#include "core/error.h"
#include "spool/ring.h"

/* No ring gets here: that takes 4 GiB a second for 34 years. So no sum of positions and lengths
 * overflows. */
#define POSITION_MAX (1ull << 62)

/* Whether a record can be there at all: every record before it took at least the minimum size. A
 * record that passes the checksum by chance, or that another program wrote, must not upset the
 * counting. */
bool ring_walk_record_possible(const struct record *record)
{
    return record->position <= POSITION_MAX &&
           record->sequence <= record->position / RECORD_MIN_BYTES;
}

/* Reads the record or filler at `position`. Returns the position after it, or `position` itself if
 * nothing whole is there. A filler leaves article_bytes 0. */
uint64_t ring_walk_step(const struct ring_walk *walk, uint64_t position, uint64_t end,
                        struct record *out)
{
    uint64_t offset = position % walk->capacity_bytes;
    uint64_t to_end = walk->capacity_bytes - offset;
    size_t bytes = record_read(walk->memory + RING_HEADER_BYTES + offset, to_end, position,
                               walk->ring_id, out);
    if (!ring_walk_record_possible(out))
        return position;
    uint64_t taken = bytes > 0 && out->article_bytes == 0 ? to_end : bytes;
    return taken <= end - position ? position + taken : position;
}

/* Whether the header's positions are possible. */
bool ring_walk_positions_possible(uint64_t read, uint64_t write, uint64_t capacity_bytes)
{
    return read <= write && write <= POSITION_MAX && write - read <= capacity_bytes &&
           read % RECORD_ALIGN == 0 && write % RECORD_ALIGN == 0;
}

/* Identifies the ring and loads its positions. */
int ring_walk_open(void *memory, uint64_t bytes, struct ring_walk *walk, uint64_t *read,
                   uint64_t *write, char *error, size_t error_bytes)
{
    struct ring_identity identity;
    if (ring_identify(memory, bytes, &identity, error, error_bytes) != 0)
        return -1;
    *walk = (struct ring_walk){memory, identity.ring_id, identity.capacity_bytes};
    /* Loads the read position first: it never passes the write position, which only rises. */
    *read = ring_read_position(memory);
    *write = ring_write_position(memory);
    if (!ring_walk_positions_possible(*read, *write, identity.capacity_bytes))
        return error_say(error, error_bytes,
                         "ring header: impossible positions, read %llu write %llu",
                         (unsigned long long)*read, (unsigned long long)*write);
    return 0;
}

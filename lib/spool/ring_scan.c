/* Recovers the whole records of a ring whose positions cannot be trusted. */
#include "spool/ring_scan.h"

#include "spool/ring.h"
#include "spool/ring_walk.h"

#include <string.h>

/* The length of the whole record at `offset`, whatever its position, or 0. */
static size_t whole_at(const struct ring_walk *walk, uint64_t offset, struct record *out)
{
    const unsigned char *in = walk->memory + RING_HEADER_BYTES + offset;
    uint64_t available = walk->capacity_bytes - offset;
    if (available < RECORD_MIN_BYTES)
        return 0;
    uint64_t position = record_position(in);
    if (position % walk->capacity_bytes != offset)
        return 0;
    size_t bytes = record_read(in, available, position, walk->ring_id, out);
    return out->article_bytes > 0 && ring_walk_record_possible(out) ? bytes : 0;
}

/* The end of the newest whole record, or 0 if there are none. */
static uint64_t newest_end(const struct ring_walk *walk)
{
    uint64_t end = 0;
    for (uint64_t offset = 0; offset < walk->capacity_bytes;) {
        struct record record;
        size_t bytes = whole_at(walk, offset, &record);
        if (bytes > 0 && record.position + bytes > end)
            end = record.position + bytes;
        offset += bytes > 0 ? bytes : RECORD_ALIGN;
    }
    return end;
}

struct scanning {
    struct ring_walk walk;
    uint64_t end; /* of the newest record */
    ring_scan_fn fn;
    void *user;
    struct ring_scan found;
};

/* Reports the records from offset `from` to `to` that lie within a capacity of the newest. */
static int scan_range(struct scanning *scanning, uint64_t from, uint64_t to)
{
    struct ring_scan *found = &scanning->found;

    for (uint64_t offset = from; offset < to;) {
        struct record record;
        size_t bytes = whole_at(&scanning->walk, offset, &record);
        offset += bytes > 0 ? bytes : RECORD_ALIGN;
        if (bytes == 0 || scanning->end - record.position > scanning->walk.capacity_bytes)
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
static uint64_t after_filler(const struct ring_walk *walk, uint64_t position)
{
    struct record record;
    uint64_t next = ring_walk_step(walk, position, UINT64_MAX, &record);
    return record.article_bytes == 0 ? next : position;
}

/* What the header's positions say about records before the oldest and after the newest. The
 * positions may be older than the data, but any record they cover that no later lap overwrote must
 * be there. */
static uint64_t missing_at_ends(const struct scanning *scanning)
{
    const struct ring_scan *found = &scanning->found;
    uint64_t capacity = scanning->walk.capacity_bytes;
    uint64_t read = ring_read_position(scanning->walk.memory);
    uint64_t write = ring_write_position(scanning->walk.memory);
    uint64_t missing = 0;

    if (!ring_walk_positions_possible(read, write, capacity))
        return 1;
    if (found->records == 0)
        return write > read ? 1 : 0;
    bool in_reach = read < found->oldest && found->end - read <= capacity;
    if (in_reach && after_filler(&scanning->walk, read) < found->oldest)
        missing += read == 0 ? found->oldest_sequence : 1;
    if (write > found->end)
        missing++;
    return missing;
}

int ring_scan(const void *memory, uint64_t bytes, ring_scan_fn fn, void *user,
              struct ring_scan *out)
{
    struct ring_identity identity;
    struct scanning scanning = {.fn = fn, .user = user};

    if (out != NULL)
        memset(out, 0, sizeof *out);
    if (ring_identify(memory, bytes, &identity, NULL, 0) != 0)
        return -1;
    scanning.walk = (struct ring_walk){(unsigned char *)(uintptr_t)memory, identity.ring_id,
                                       identity.capacity_bytes};
    scanning.end = newest_end(&scanning.walk);
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

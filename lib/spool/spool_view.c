/* Reads a spool in use, from outside: maps all of it read-only, and compares rings with positions.
 */
#include "spool/spool_view.h"

#include "core/error.h"
#include "spool/ring.h"
#include "spool/ring_consumer.h"
#include "spool/ring_file.h"
#include "spool/ring_scan.h"
#include "spool/spool_edge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIES 1000 /* to find a moment in which nothing moves */

struct mapped {
    struct spool_view_ring ring;
    struct ring_file file;
    struct ring_identity identity;
};

struct spool_view {
    int fd;
    struct spool_edge edge;
    uint32_t generation[SPOOL_SHARDS_MAX];
    uint64_t admitted;
    size_t n;
    struct mapped of[SPOOL_VIEW_RINGS_MAX];
};

static int add_ring(struct spool_view *view, const char *name, uint32_t shard, uint64_t name_id,
                    bool old, struct error *error)
{
    struct mapped *one = &view->of[view->n];
    if (view->n == SPOOL_VIEW_RINGS_MAX)
        return error_set(error, "more rings than there can be");
    *one = (struct mapped){
        .ring = {.shard = shard, .ring_id = name_id, .name_id = name_id, .old = old}};
    if (ring_file_look(&one->file, view->fd, name, error) != 0)
        return -1;
    view->n++;
    if (ring_identify(one->file.memory, one->file.bytes, &one->identity, NULL) != 0 ||
        one->identity.shard != shard || one->identity.edge_id != view->edge.id) {
        one->ring.damaged = true;
        return 0;
    }
    one->ring.ring_id = one->identity.ring_id;
    one->ring.write = ring_write_position(one->file.memory);
    one->ring.applied = ring_applied_position(one->file.memory);
    one->ring.store_id = ring_store_id(one->file.memory);
    return 0;
}

/* Calls `fn` for each old ring's name. Stops when it returns a value other than 0, and returns that
 * value. Returns -1 if the directory cannot be read. */
static int each_old(const struct spool_view *view,
                    int (*fn)(void *user, const char *name, uint32_t shard, uint64_t name_id),
                    void *user)
{
    uint32_t shard;
    uint64_t name_id;
    int answer = 0;
    int fd = openat(view->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    for (struct dirent *entry; answer == 0 && (entry = readdir(entries)) != NULL;)
        if (ring_file_parse_name(entry->d_name, "old", &shard, &name_id))
            answer = fn(user, entry->d_name, shard, name_id);
    closedir(entries);
    return answer;
}

struct adding {
    struct spool_view *view;
    struct error *error;
};

static int add_old(void *user, const char *name, uint32_t shard, uint64_t name_id)
{
    struct adding *adding = user;
    return add_ring(adding->view, name, shard, name_id, true, adding->error);
}

static int map_all(struct spool_view *view, struct error *error)
{
    struct adding adding = {view, error};
    char name[RING_FILE_NAME_BYTES];
    for (uint32_t shard = 0; shard < view->edge.shards; shard++) {
        view->generation[shard] = spool_edge_generation(&view->edge, shard);
        ring_file_name(name, shard);
        if (add_ring(view, name, shard, 0, false, error) != 0 && errno != ENOENT)
            return -1;
    }
    if (each_old(view, add_old, &adding) != 0)
        return -1;
    return 0;
}

struct spool_view *spool_view_open(const char *path, bool *retry, struct error *error)
{
    struct error why = {"the directory cannot be read"};
    struct spool_view *view = calloc(1, sizeof *view);
    *retry = false;
    if (view == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    view->edge.fd = -1;
    view->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (view->fd < 0) {
        error_set(error, "spool %s: cannot be opened: %s", path, strerror(errno));
        goto fail;
    }
    if (spool_edge_look(&view->edge, view->fd, &why) != 0) {
        error_set(error, "spool %s: %s", path, why.text);
        goto fail;
    }
    if (map_all(view, &why) != 0) {
        *retry = errno == ENOENT; /* drained and deleted since it was listed */
        error_set(error, "spool %s: %s", path, why.text);
        goto fail;
    }
    return view;
fail:
    spool_view_free(view);
    return NULL;
}

void spool_view_free(struct spool_view *view)
{
    if (view == NULL)
        return;
    for (size_t i = 0; i < view->n; i++)
        ring_file_unmap(&view->of[i].file);
    spool_edge_close(&view->edge);
    if (view->fd >= 0)
        close(view->fd);
    free(view);
}

uint64_t spool_view_edge_id(const struct spool_view *view)
{
    return view->edge.id;
}

uint32_t spool_view_shards(const struct spool_view *view)
{
    return view->edge.shards;
}

bool spool_view_has_producer(const struct spool_view *view)
{
    return spool_edge_locked(&view->edge, SPOOL_EDGE_PRODUCER);
}

/* Records every current ring's write position. Returns whether none has changed. */
static bool note_writes(struct spool_view *view)
{
    bool same = true;
    for (size_t i = 0; i < view->n; i++) {
        struct spool_view_ring *ring = &view->of[i].ring;
        if (ring->damaged)
            continue;
        uint64_t write = ring_write_position(view->of[i].file.memory);
        same = same && write == ring->write;
        ring->write = write;
    }
    return same;
}

/* A ring is renamed before its generation rises, so for a moment it may be mapped under both
 * names. */
static bool twice(const struct spool_view *view)
{
    for (size_t i = 0; i < view->n; i++)
        for (size_t k = i + 1; k < view->n; k++)
            if (view->of[i].ring.shard == view->of[k].ring.shard && !view->of[i].ring.damaged &&
                view->of[i].ring.ring_id == view->of[k].ring.ring_id)
                return true;
    return false;
}

static bool replaced(const struct spool_view *view)
{
    if (twice(view))
        return true;
    for (uint32_t shard = 0; shard < view->edge.shards; shard++)
        if (spool_edge_generation(&view->edge, shard) != view->generation[shard])
            return true;
    return false;
}

int spool_view_take(struct spool_view *view)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = spool_edge_counted(spool_edge_admitted(&view->edge));
        bool still = note_writes(view);
        view->admitted = spool_edge_counted(spool_edge_admitted(&view->edge));
        /* These reads take longer than the producer takes from the end of a record to counting
         * it. */
        if (still && note_writes(view) && before == view->admitted &&
            before == spool_edge_counted(spool_edge_admitted(&view->edge)))
            return replaced(view) ? -1 : 0;
    }
    return -1;
}

uint64_t spool_view_admitted(const struct spool_view *view)
{
    return view->admitted;
}

size_t spool_view_rings(const struct spool_view *view)
{
    return view->n;
}

const struct spool_view_ring *spool_view_ring(const struct spool_view *view, size_t i)
{
    return &view->of[i].ring;
}

/* --- the records after a position --- */

static int compare_current(const struct mapped *one, uint64_t position, uint64_t sequence,
                           struct spool_view_rest *out)
{
    struct ring_consumer walk;
    struct record record;
    uint64_t expected = sequence, write = one->ring.write;
    if (position > write) {
        out->beyond = true;
        return 0;
    }
    if (ring_consumer_open(&walk, one->file.memory, one->file.bytes, NULL) != 0) {
        out->between = true;
        return 0;
    }
    uint64_t from = position > walk.read ? position : walk.read;
    walk.next = from;
    walk.next_sequence = sequence;
    walk.sequence_known = from == position;
    walk.write_seen = write;
    out->end = sequence;
    while (walk.next < write) {
        if (ring_consumer_next(&walk, &record) != 1) {
            out->between = true;
            break;
        }
        if (record.position >= write)
            break;
        if (record.sequence < expected) {
            out->between = true;
            break;
        }
        out->waiting++;
        out->missing += record.sequence - expected;
        expected = out->end = record.sequence + 1;
    }
    /* Records that are not freed were not overwritten. */
    return ring_read_position(one->file.memory) > from ? -1 : 0;
}

struct scanning {
    uint64_t position, waiting;
};

static int count_behind(void *user, const struct record *record)
{
    struct scanning *scanning = user;
    if (record->position >= scanning->position)
        scanning->waiting++;
    return 0;
}

static void compare_old(const struct mapped *one, uint64_t position, uint64_t sequence,
                        struct spool_view_rest *out)
{
    struct scanning scanning = {.position = position};
    struct ring_scan found;
    if (ring_scan(one->file.memory, one->file.bytes, count_behind, &scanning, &found) != 0) {
        out->between = true;
        return;
    }
    out->waiting = scanning.waiting;
    out->end = found.records > 0 && found.end_sequence > sequence ? found.end_sequence : sequence;
    out->missing = out->end - sequence > out->waiting ? out->end - sequence - out->waiting : 0;
}

int spool_view_compare(const struct spool_view *view, size_t i, uint64_t position,
                       uint64_t sequence, struct spool_view_rest *out)
{
    const struct mapped *one = &view->of[i];
    *out = (struct spool_view_rest){0};
    if (one->ring.damaged) {
        out->between = true;
        return 0;
    }
    if (!one->ring.old)
        return compare_current(one, position, sequence, out);
    compare_old(one, position, sequence, out);
    return 0;
}

/* --- whether it still holds --- */

struct matching {
    const struct spool_view *view;
    size_t found;
};

static int match(void *user, const char *name, uint32_t shard, uint64_t name_id)
{
    struct matching *matching = user;
    (void)name;
    for (size_t i = 0; i < matching->view->n; i++) {
        const struct spool_view_ring *ring = &matching->view->of[i].ring;
        if (ring->old && ring->shard == shard && ring->name_id == name_id) {
            matching->found++;
            return 0;
        }
    }
    return 1;
}

bool spool_view_same(const struct spool_view *view)
{
    struct matching matching = {.view = view};
    size_t old = 0;
    for (size_t i = 0; i < view->n; i++)
        old += view->of[i].ring.old ? 1 : 0;
    return each_old(view, match, &matching) == 0 && matching.found == old && !replaced(view);
}

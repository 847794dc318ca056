/* The producer's side of a spool: makes it, continues or replaces its rings, wakes the consumer. */
#include "spool/spool_dir.h"

#include "core/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define PAGE_BYTES 4096u
#define POPULATE_AHEAD_BYTES (256u * 1024u)
/* The least time between two attempts to make a ring, because the broker's loop turns thousands of
 * times a second. */
#define RETRY_FAILED_MS 1000u /* it could not be made */
#define RETRY_BUSY_MS 50u     /* too many old ones */
#define WORDS_BYTES 256

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* A random id, never 0; 0 if the kernel cannot supply randomness. */
static uint64_t random_id(void)
{
    uint64_t id = 0;
    while (id == 0)
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id && errno != EINTR)
            return 0;
    return id;
}

/* The kernel's boot id: 32 hex digits with hyphens between. */
static int read_boot_id(unsigned char out[SPOOL_BOOT_ID_BYTES], char *error, size_t error_bytes)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char text[64] = {0};
    size_t digits = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    memset(out, 0, SPOOL_BOOT_ID_BYTES);
    for (ssize_t i = 0; i < bytes && digits < 2u * SPOOL_BOOT_ID_BYTES; i++) {
        static const char hex[] = "0123456789abcdef";
        const char *digit = text[i] == '\0' ? NULL : strchr(hex, text[i]);
        if (digit == NULL)
            continue;
        out[digits / 2] = (unsigned char)(out[digits / 2] << 4 | (digit - hex));
        digits++;
    }
    if (digits != 2u * SPOOL_BOOT_ID_BYTES)
        return error_say(error, error_bytes, "%s cannot be read", path);
    return 0;
}

/* Appends a sentence to the text, after "; ". */
__attribute__((format(printf, 3, 4))) static void add_note(char *note, size_t note_bytes,
                                                           const char *format, ...)
{
    size_t used = note_bytes > 0 ? strlen(note) : 0;
    va_list arguments;
    if (used + 3 >= note_bytes)
        return;
    if (used > 0) {
        memcpy(note + used, "; ", 3);
        used += 2;
    }
    va_start(arguments, format);
    (void)vsnprintf(note + used, note_bytes - used, format, arguments);
    va_end(arguments);
}

/* --- rings --- */

static bool same_kinds(const struct kind_table *a, const struct kind_table *b)
{
    if (a->n != b->n)
        return false;
    for (int i = 1; i <= a->n; i++)
        if (strcmp(a->name[i], b->name[i]) != 0)
            return false;
    return true;
}

/* Whether the ring is what this producer would make. */
static bool fits(const struct spool_dir *dir, uint32_t shard, const struct spool_identity *identity)
{
    return identity->capacity_bytes == dir->want.ring_bytes && identity->shard == shard &&
           identity->shards == dir->want.shards && identity->edge_id == dir->edge.id &&
           memcmp(identity->boot_id, dir->boot_id, SPOOL_BOOT_ID_BYTES) == 0 &&
           memcmp(identity->fingerprint, dir->want.fingerprint, SPOOL_FINGERPRINT_BYTES) == 0 &&
           same_kinds(&identity->kinds, &dir->want.kinds);
}

static void adopt(struct spool_dir *dir, uint32_t shard, const struct spool_ring *ring,
                  const struct spool_producer *producer)
{
    struct spool_dir_shard *own = &dir->shard[shard];
    spool_ring_unmap(&own->ring);
    own->ring = *ring;
    own->producer = *producer;
    own->populated = producer->write;
    own->told = false;
}

/* Continues the existing ring. Returns false if it is absent, cannot be continued, or the consumer
 * asked for another and `anyway` is false. */
static bool continue_ring(struct spool_dir *dir, uint32_t shard, bool anyway)
{
    char name[SPOOL_RING_NAME_BYTES];
    struct spool_ring ring;
    struct spool_identity identity;
    struct spool_producer producer;

    spool_ring_name(name, shard);
    if (spool_ring_map(&ring, dir->fd, name, true, NULL, 0) != 0)
        return false;
    if (spool_identify(ring.memory, ring.bytes, &identity, NULL, 0) != 0 ||
        !fits(dir, shard, &identity) || (spool_rotate_wanted(ring.memory) && !anyway) ||
        spool_producer_open(&producer, ring.memory, ring.bytes, NULL, 0) != 0) {
        spool_ring_unmap(&ring);
        return false;
    }
    adopt(dir, shard, &ring, &producer);
    /* A producer that was killed after it put this ring in place may not have announced it. */
    spool_edge_raise_generation(&dir->edge, shard);
    return true;
}

static int make_ring(struct spool_dir *dir, uint32_t shard, struct spool_ring *ring, char *error,
                     size_t error_bytes)
{
    struct spool_identity identity = {
        .capacity_bytes = dir->want.ring_bytes,
        .shard = shard,
        .shards = dir->want.shards,
        .ring_id = random_id(),
        .edge_id = dir->edge.id,
        .made_ms = clock_ms(CLOCK_REALTIME),
        .kinds = dir->want.kinds,
    };
    if (identity.ring_id == 0)
        return error_say(error, error_bytes, "cannot read random bytes for an id");
    memcpy(identity.boot_id, dir->boot_id, SPOOL_BOOT_ID_BYTES);
    memcpy(identity.fingerprint, dir->want.fingerprint, SPOOL_FINGERPRINT_BYTES);
    return spool_ring_make(ring, dir->fd, &identity, error, error_bytes);
}

/* Makes a ring, moves the existing one out of the way, and puts the new one in its place. After
 * each step, the next start can continue from there. Returns 1, 0 if the shard already has the
 * maximum number of old rings, or -1 with `error`. */
static int begin_ring(struct spool_dir *dir, uint32_t shard, char *note, size_t note_bytes,
                      char *error, size_t error_bytes)
{
    char old_name[SPOOL_RING_NAME_BYTES];
    struct spool_ring ring;
    struct spool_producer producer;
    uint64_t store_id;

    int old = spool_ring_count(dir->fd, "old", shard);
    if (old < 0)
        return error_say(error, error_bytes, "the directory cannot be read: %s", strerror(errno));
    if (old >= SPOOL_OLD_MAX)
        return 0;
    if (make_ring(dir, shard, &ring, error, error_bytes) != 0)
        return -1;
    int retired =
        spool_ring_retire(dir->fd, shard, random_id(), old_name, &store_id, error, error_bytes);
    if (retired < 0)
        goto fail;
    /* The edge's store id must outlive the ring that recorded it. */
    spool_set_store_id(ring.memory, store_id);
    /* From here on nothing may be appended to the renamed ring. */
    spool_ring_unmap(&dir->shard[shard].ring);
    if (spool_ring_install(dir->fd, shard, error, error_bytes) != 0 ||
        spool_producer_open(&producer, ring.memory, ring.bytes, error, error_bytes) != 0)
        goto fail;
    adopt(dir, shard, &ring, &producer);
    spool_edge_raise_generation(&dir->edge, shard);
    if (retired == 1)
        add_note(note, note_bytes, "shard %u: ring renamed to %s, another begun", shard, old_name);
    return 1;
fail:
    spool_ring_unmap(&ring);
    return -1;
}

/* --- opening --- */

static int open_directory(struct spool_dir *dir, char *error, size_t error_bytes)
{
    bool made = mkdir(dir->path, 0770) == 0;
    if (!made && errno != EEXIST)
        return error_say(error, error_bytes, "spool %s: cannot be made: %s", dir->path,
                         strerror(errno));
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0 || (made && fchmod(dir->fd, 0770) != 0))
        return error_say(error, error_bytes, "spool %s: cannot be opened as a directory: %s",
                         dir->path, strerror(errno));
    if (faccessat(dir->fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_say(error, error_bytes, "spool %s: cannot be written: %s", dir->path,
                         strerror(errno));
    return 0;
}

static int make_wake(struct spool_dir *dir, char *error, size_t error_bytes)
{
    if (mkfifoat(dir->fd, "wake", 0660) == 0)
        (void)fchmodat(dir->fd, "wake", 0660, 0); /* regardless of the umask */
    else if (errno != EEXIST)
        return error_say(error, error_bytes, "spool %s: wake cannot be made: %s", dir->path,
                         strerror(errno));
    return spool_dir_open_wake(dir, error, error_bytes);
}

static int open_edge(struct spool_dir *dir, char *error, size_t error_bytes)
{
    char why[WORDS_BYTES];
    uint64_t id = random_id();

    if (id == 0)
        return error_say(error, error_bytes, "spool %s: cannot read random bytes for an id",
                         dir->path);
    if (spool_edge_make(dir->fd, dir->want.shards, id, why, sizeof why) != 0 ||
        spool_edge_open(&dir->edge, dir->fd, why, sizeof why) != 0)
        return error_say(error, error_bytes, "spool %s: %s", dir->path, why);
    if (spool_edge_lock(&dir->edge, SPOOL_EDGE_PRODUCER) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            return error_say(error, error_bytes, "spool %s: another broker has it", dir->path);
        return error_say(error, error_bytes, "spool %s: cannot be locked: %s", dir->path,
                         strerror(errno));
    }
    if (dir->edge.shards != dir->want.shards)
        return error_say(error, error_bytes,
                         "spool %s: was made for %u shards, not %u; their number is fixed when a "
                         "store is made",
                         dir->path, dir->edge.shards, dir->want.shards);
    return 0;
}

/* Deletes a file left half made by a killed producer. The caller holds the lock. */
static void sweep(const struct spool_dir *dir)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        const char *name = entry->d_name;
        size_t bytes = strlen(name);
        bool ours = strncmp(name, "ring-", 5) == 0 || strncmp(name, "edge-", 5) == 0;
        if (ours && bytes > 4 && strcmp(name + bytes - 4, ".new") == 0)
            (void)unlinkat(dir->fd, name, 0);
    }
    closedir(entries);
}

static int open_rings(struct spool_dir *dir, char *error, size_t error_bytes)
{
    char why[WORDS_BYTES];
    for (uint32_t shard = 0; shard < dir->want.shards; shard++) {
        if (continue_ring(dir, shard, false))
            continue;
        int begun = begin_ring(dir, shard, NULL, 0, why, sizeof why);
        /* As at run time: a ring with a requested rotation stays in use until another can be
         * made. */
        if (begun < 1 && !continue_ring(dir, shard, true) && begun < 0)
            return error_say(error, error_bytes, "spool %s: %s", dir->path, why);
    }
    return 0;
}

/* The current rings: the XOR of their ids, and how many records they have ever held. */
static void sum_up(const struct spool_dir *dir, uint64_t *rings, uint64_t *records)
{
    *rings = *records = 0;
    for (uint32_t shard = 0; shard < dir->want.shards; shard++)
        if (dir->shard[shard].ring.memory != NULL) {
            *rings ^= dir->shard[shard].producer.ring_id;
            *records += dir->shard[shard].producer.sequence;
        }
}

static void note_rings(struct spool_dir *dir)
{
    uint64_t rings, records;
    sum_up(dir, &rings, &records);
    spool_edge_note_rings(&dir->edge, rings, records);
}

/* Counts a reaction that a killed producer had appended and not counted. */
static void count_the_last(struct spool_dir *dir)
{
    uint64_t rings, records;
    sum_up(dir, &rings, &records);
    if (spool_edge_one_uncounted(&dir->edge, rings, records))
        spool_edge_count(spool_edge_admitted(&dir->edge));
    note_rings(dir);
}

static int check_want(const char *path, const struct spool_dir_want *want, char *error,
                      size_t error_bytes)
{
    if (want->shards < 1 || want->shards > SPOOL_SHARDS_MAX)
        return error_say(error, error_bytes, "spool %s: %u shards; 1 to %d are possible", path,
                         want->shards, SPOOL_SHARDS_MAX);
    if (want->ring_bytes < SPOOL_CAPACITY_MIN_BYTES ||
        want->ring_bytes > SPOOL_CAPACITY_MAX_BYTES || want->ring_bytes % PAGE_BYTES != 0)
        return error_say(error, error_bytes,
                         "spool %s: rings of %llu bytes; a multiple of %u from %u to %llu is "
                         "possible",
                         path, (unsigned long long)want->ring_bytes, PAGE_BYTES,
                         SPOOL_CAPACITY_MIN_BYTES, (unsigned long long)SPOOL_CAPACITY_MAX_BYTES);
    return 0;
}

static void wake(const struct spool_dir *dir)
{
    /* If the FIFO is full, it holds enough wake-ups. */
    ssize_t n;
    do
        n = write(dir->wake_fd, "w", 1);
    while (n < 0 && errno == EINTR);
}

struct spool_dir *spool_dir_produce(const char *path, const struct spool_dir_want *want,
                                    char *error, size_t error_bytes)
{
    if (check_want(path, want, error, error_bytes) != 0)
        return NULL;
    struct spool_dir *dir = spool_dir_new(path, error, error_bytes);
    if (dir == NULL)
        return NULL;
    dir->want = *want;
    if (read_boot_id(dir->boot_id, error, error_bytes) != 0 ||
        open_directory(dir, error, error_bytes) != 0 || make_wake(dir, error, error_bytes) != 0 ||
        open_edge(dir, error, error_bytes) != 0)
        goto fail;
    sweep(dir);
    if (open_rings(dir, error, error_bytes) != 0)
        goto fail;
    count_the_last(dir);
    /* A producer that was killed between taking the asleep flag and its write owes the consumer
     * this one. */
    wake(dir);
    return dir;
fail:
    spool_dir_free(dir);
    return NULL;
}

/* --- running --- */

struct spool_producer *spool_dir_producer(struct spool_dir *dir, uint32_t shard)
{
    struct spool_dir_shard *own = &dir->shard[shard];
    return own->ring.memory == NULL ? NULL : &own->producer;
}

void spool_dir_wake(struct spool_dir *dir)
{
    if (spool_edge_take_asleep(&dir->edge))
        wake(dir);
}

/* Makes the pages from position `from` to `to` writable now, when nobody is waiting. */
static void populate(struct spool_dir *dir, struct spool_dir_shard *own, uint64_t from, uint64_t to)
{
    uint64_t capacity = own->producer.capacity_bytes;
    unsigned char *data = (unsigned char *)own->ring.memory + SPOOL_HEADER_BYTES;

    while (from < to && !dir->cannot_populate) {
        uint64_t offset = from % capacity;
        uint64_t bytes = to - from < capacity - offset ? to - from : capacity - offset;
        if (madvise(data + offset, bytes, MADV_POPULATE_WRITE) != 0 && errno == EINVAL)
            dir->cannot_populate = true;
        from += bytes;
    }
}

static void populate_ahead(struct spool_dir *dir, struct spool_dir_shard *own)
{
    uint64_t write = own->producer.write, capacity = own->producer.capacity_bytes;
    uint64_t ahead = capacity / 2 < POPULATE_AHEAD_BYTES ? capacity / 2 : POPULATE_AHEAD_BYTES;

    if (own->populated >= write + ahead / 2)
        return;
    uint64_t from = own->populated > write ? own->populated : write / PAGE_BYTES * PAGE_BYTES;
    uint64_t to = (write + ahead) / PAGE_BYTES * PAGE_BYTES;
    populate(dir, own, from / PAGE_BYTES * PAGE_BYTES, to);
    own->populated = to;
}

static void tend_ring(struct spool_dir *dir, uint32_t shard, char *note, size_t note_bytes)
{
    struct spool_dir_shard *own = &dir->shard[shard];
    char why[WORDS_BYTES];

    if (clock_ms(CLOCK_MONOTONIC) < dir->retry_ms)
        return;
    int begun = begin_ring(dir, shard, note, note_bytes, why, sizeof why);
    if (begun < 1)
        dir->retry_ms = clock_ms(CLOCK_MONOTONIC) + (begun < 0 ? RETRY_FAILED_MS : RETRY_BUSY_MS);
    if (begun == 1)
        note_rings(dir);
    if (begun == 1 || own->told)
        return;
    if (begun == 0)
        (void)snprintf(why, sizeof why, "%d old rings wait to be drained", SPOOL_OLD_MAX);
    add_note(note, note_bytes, "shard %u: no new ring: %s", shard, why);
    own->told = true;
}

void spool_dir_tend(struct spool_dir *dir, char *note, size_t note_bytes)
{
    if (note_bytes > 0)
        note[0] = '\0';
    for (uint32_t shard = 0; shard < dir->want.shards; shard++) {
        struct spool_dir_shard *own = &dir->shard[shard];
        if (own->ring.memory == NULL || spool_rotate_wanted(own->ring.memory))
            tend_ring(dir, shard, note, note_bytes);
        if (own->ring.memory != NULL)
            populate_ahead(dir, own);
    }
}

uint64_t *spool_dir_last_stamp(struct spool_dir *dir)
{
    return spool_edge_last_stamp(&dir->edge);
}

uint64_t *spool_dir_late_counter(struct spool_dir *dir)
{
    return spool_edge_late_counter(&dir->edge);
}

void spool_dir_count_admitted(struct spool_dir *dir)
{
    spool_edge_count(spool_edge_admitted(&dir->edge));
}

void spool_dir_count_refused(struct spool_dir *dir, enum reason reason)
{
    spool_edge_count(spool_edge_refused(&dir->edge, reason));
}

void spool_dir_count_receipt_dropped(struct spool_dir *dir)
{
    spool_edge_count(spool_edge_receipts_dropped(&dir->edge));
}

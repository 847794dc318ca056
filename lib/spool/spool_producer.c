/* The producer's side of a spool: makes it, continues or replaces its rings, wakes the consumer. */
#include "spool/spool_producer.h"

#include "core/error.h"
#include "spool/spool_internal.h"

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
static int read_boot_id(unsigned char out[RING_BOOT_ID_BYTES], char *error, size_t error_bytes)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char text[64] = {0};
    size_t digits = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    memset(out, 0, RING_BOOT_ID_BYTES);
    for (ssize_t i = 0; i < bytes && digits < 2u * RING_BOOT_ID_BYTES; i++) {
        static const char hex[] = "0123456789abcdef";
        const char *digit = text[i] == '\0' ? NULL : strchr(hex, text[i]);
        if (digit == NULL)
            continue;
        out[digits / 2] = (unsigned char)(out[digits / 2] << 4 | (digit - hex));
        digits++;
    }
    if (digits != 2u * RING_BOOT_ID_BYTES)
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
static bool fits(const struct spool *spool, uint32_t shard, const struct ring_identity *identity)
{
    return identity->capacity_bytes == spool->want.ring_bytes && identity->shard == shard &&
           identity->shards == spool->want.shards && identity->edge_id == spool->edge.id &&
           memcmp(identity->boot_id, spool->boot_id, RING_BOOT_ID_BYTES) == 0 &&
           memcmp(identity->fingerprint, spool->want.fingerprint, RING_FINGERPRINT_BYTES) == 0 &&
           same_kinds(&identity->kinds, &spool->want.kinds);
}

static void adopt(struct spool *spool, uint32_t shard, const struct ring_file *ring,
                  const struct ring_producer *producer)
{
    struct spool_shard *own = &spool->shard[shard];
    ring_file_unmap(&own->ring);
    own->ring = *ring;
    own->producer = *producer;
    own->populated = producer->write;
    own->told = false;
}

/* Continues the existing ring. Returns false if it is absent, cannot be continued, or the consumer
 * asked for another and `anyway` is false. */
static bool continue_ring(struct spool *spool, uint32_t shard, bool anyway)
{
    char name[RING_FILE_NAME_BYTES];
    struct ring_file ring;
    struct ring_identity identity;
    struct ring_producer producer;

    ring_file_name(name, shard);
    if (ring_file_map(&ring, spool->fd, name, true, NULL, 0) != 0)
        return false;
    if (ring_identify(ring.memory, ring.bytes, &identity, NULL, 0) != 0 ||
        !fits(spool, shard, &identity) || (ring_rotation_wanted(ring.memory) && !anyway) ||
        ring_producer_open(&producer, ring.memory, ring.bytes, NULL, 0) != 0) {
        ring_file_unmap(&ring);
        return false;
    }
    adopt(spool, shard, &ring, &producer);
    /* A producer that was killed after it put this ring in place may not have announced it. */
    spool_edge_raise_generation(&spool->edge, shard);
    return true;
}

static int make_ring(struct spool *spool, uint32_t shard, struct ring_file *ring, char *error,
                     size_t error_bytes)
{
    struct ring_identity identity = {
        .capacity_bytes = spool->want.ring_bytes,
        .shard = shard,
        .shards = spool->want.shards,
        .ring_id = random_id(),
        .edge_id = spool->edge.id,
        .made_ms = clock_ms(CLOCK_REALTIME),
        .kinds = spool->want.kinds,
    };
    if (identity.ring_id == 0)
        return error_say(error, error_bytes, "cannot read random bytes for an id");
    memcpy(identity.boot_id, spool->boot_id, RING_BOOT_ID_BYTES);
    memcpy(identity.fingerprint, spool->want.fingerprint, RING_FINGERPRINT_BYTES);
    return ring_file_make(ring, spool->fd, &identity, error, error_bytes);
}

/* Makes a ring, moves the existing one out of the way, and puts the new one in its place. After
 * each step, the next start can continue from there. Returns 1, 0 if the shard already has the
 * maximum number of old rings, or -1 with `error`. */
static int begin_ring(struct spool *spool, uint32_t shard, char *note, size_t note_bytes,
                      char *error, size_t error_bytes)
{
    char old_name[RING_FILE_NAME_BYTES];
    struct ring_file ring;
    struct ring_producer producer;
    uint64_t store_id;

    int old = ring_file_count(spool->fd, "old", shard);
    if (old < 0)
        return error_say(error, error_bytes, "the directory cannot be read: %s", strerror(errno));
    if (old >= SPOOL_OLD_MAX)
        return 0;
    if (make_ring(spool, shard, &ring, error, error_bytes) != 0)
        return -1;
    int retired =
        ring_file_retire(spool->fd, shard, random_id(), old_name, &store_id, error, error_bytes);
    if (retired < 0)
        goto fail;
    /* The edge's store id must outlive the ring that recorded it. */
    ring_set_store_id(ring.memory, store_id);
    /* From here on nothing may be appended to the renamed ring. */
    ring_file_unmap(&spool->shard[shard].ring);
    if (ring_file_install(spool->fd, shard, error, error_bytes) != 0 ||
        ring_producer_open(&producer, ring.memory, ring.bytes, error, error_bytes) != 0)
        goto fail;
    adopt(spool, shard, &ring, &producer);
    spool_edge_raise_generation(&spool->edge, shard);
    if (retired == 1)
        add_note(note, note_bytes, "shard %u: ring renamed to %s, another begun", shard, old_name);
    return 1;
fail:
    ring_file_unmap(&ring);
    return -1;
}

/* --- opening --- */

static int open_directory(struct spool *spool, char *error, size_t error_bytes)
{
    bool made = mkdir(spool->path, 0770) == 0;
    if (!made && errno != EEXIST)
        return error_say(error, error_bytes, "spool %s: cannot be made: %s", spool->path,
                         strerror(errno));
    spool->fd = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->fd < 0 || (made && fchmod(spool->fd, 0770) != 0))
        return error_say(error, error_bytes, "spool %s: cannot be opened as a directory: %s",
                         spool->path, strerror(errno));
    if (faccessat(spool->fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_say(error, error_bytes, "spool %s: cannot be written: %s", spool->path,
                         strerror(errno));
    return 0;
}

static int make_wake(struct spool *spool, char *error, size_t error_bytes)
{
    if (mkfifoat(spool->fd, "wake", 0660) == 0)
        (void)fchmodat(spool->fd, "wake", 0660, 0); /* regardless of the umask */
    else if (errno != EEXIST)
        return error_say(error, error_bytes, "spool %s: wake cannot be made: %s", spool->path,
                         strerror(errno));
    return spool_open_wake(spool, error, error_bytes);
}

static int open_edge(struct spool *spool, char *error, size_t error_bytes)
{
    char why[WORDS_BYTES];
    uint64_t id = random_id();

    if (id == 0)
        return error_say(error, error_bytes, "spool %s: cannot read random bytes for an id",
                         spool->path);
    if (spool_edge_make(spool->fd, spool->want.shards, id, why, sizeof why) != 0 ||
        spool_edge_open(&spool->edge, spool->fd, why, sizeof why) != 0)
        return error_say(error, error_bytes, "spool %s: %s", spool->path, why);
    if (spool_edge_lock(&spool->edge, SPOOL_EDGE_PRODUCER) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            return error_say(error, error_bytes, "spool %s: another broker has it", spool->path);
        return error_say(error, error_bytes, "spool %s: cannot be locked: %s", spool->path,
                         strerror(errno));
    }
    if (spool->edge.shards != spool->want.shards)
        return error_say(error, error_bytes,
                         "spool %s: was made for %u shards, not %u; their number is fixed when a "
                         "store is made",
                         spool->path, spool->edge.shards, spool->want.shards);
    return 0;
}

/* Deletes a file left half made by a killed producer. The caller holds the lock. */
static void spool_producer_sweep(const struct spool *spool)
{
    int fd = openat(spool->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
            (void)unlinkat(spool->fd, name, 0);
    }
    closedir(entries);
}

static int open_rings(struct spool *spool, char *error, size_t error_bytes)
{
    char why[WORDS_BYTES];
    for (uint32_t shard = 0; shard < spool->want.shards; shard++) {
        if (continue_ring(spool, shard, false))
            continue;
        int begun = begin_ring(spool, shard, NULL, 0, why, sizeof why);
        /* As at run time: a ring with a requested rotation stays in use until another can be
         * made. */
        if (begun < 1 && !continue_ring(spool, shard, true) && begun < 0)
            return error_say(error, error_bytes, "spool %s: %s", spool->path, why);
    }
    return 0;
}

/* The current rings: the XOR of their ids, and how many records they have ever held. */
static void sum_up(const struct spool *spool, uint64_t *rings, uint64_t *records)
{
    *rings = *records = 0;
    for (uint32_t shard = 0; shard < spool->want.shards; shard++)
        if (spool->shard[shard].ring.memory != NULL) {
            *rings ^= spool->shard[shard].producer.ring_id;
            *records += spool->shard[shard].producer.sequence;
        }
}

static void note_rings(struct spool *spool)
{
    uint64_t rings, records;
    sum_up(spool, &rings, &records);
    spool_edge_note_rings(&spool->edge, rings, records);
}

/* Counts a reaction that a killed producer had appended and not counted. */
static void count_the_last(struct spool *spool)
{
    uint64_t rings, records;
    sum_up(spool, &rings, &records);
    if (spool_edge_one_uncounted(&spool->edge, rings, records))
        spool_edge_count(spool_edge_admitted(&spool->edge));
    note_rings(spool);
}

static int check_want(const char *path, const struct spool_producer_want *want, char *error,
                      size_t error_bytes)
{
    if (want->shards < 1 || want->shards > SPOOL_SHARDS_MAX)
        return error_say(error, error_bytes, "spool %s: %u shards; 1 to %d are possible", path,
                         want->shards, SPOOL_SHARDS_MAX);
    if (want->ring_bytes < RING_CAPACITY_MIN_BYTES || want->ring_bytes > RING_CAPACITY_MAX_BYTES ||
        want->ring_bytes % PAGE_BYTES != 0)
        return error_say(error, error_bytes,
                         "spool %s: rings of %llu bytes; a multiple of %u from %u to %llu is "
                         "possible",
                         path, (unsigned long long)want->ring_bytes, PAGE_BYTES,
                         RING_CAPACITY_MIN_BYTES, (unsigned long long)RING_CAPACITY_MAX_BYTES);
    return 0;
}

static void wake(const struct spool *spool)
{
    /* If the FIFO is full, it holds enough wake-ups. */
    ssize_t n;
    do
        n = write(spool->wake_fd, "w", 1);
    while (n < 0 && errno == EINTR);
}

struct spool *spool_producer_open(const char *path, const struct spool_producer_want *want,
                                  char *error, size_t error_bytes)
{
    if (check_want(path, want, error, error_bytes) != 0)
        return NULL;
    struct spool *spool = spool_new(path, error, error_bytes);
    if (spool == NULL)
        return NULL;
    spool->want = *want;
    if (read_boot_id(spool->boot_id, error, error_bytes) != 0 ||
        open_directory(spool, error, error_bytes) != 0 ||
        make_wake(spool, error, error_bytes) != 0 || open_edge(spool, error, error_bytes) != 0)
        goto fail;
    spool_producer_sweep(spool);
    if (open_rings(spool, error, error_bytes) != 0)
        goto fail;
    count_the_last(spool);
    /* A producer that was killed between taking the asleep flag and its write owes the consumer
     * this one. */
    wake(spool);
    return spool;
fail:
    spool_free(spool);
    return NULL;
}

/* --- running --- */

struct ring_producer *spool_producer_ring(struct spool *spool, uint32_t shard)
{
    struct spool_shard *own = &spool->shard[shard];
    return own->ring.memory == NULL ? NULL : &own->producer;
}

void spool_producer_wake(struct spool *spool)
{
    if (spool_edge_take_asleep(&spool->edge))
        wake(spool);
}

/* Makes the pages from position `from` to `to` writable now, when nobody is waiting. */
static void populate(struct spool *spool, struct spool_shard *own, uint64_t from, uint64_t to)
{
    uint64_t capacity = own->producer.capacity_bytes;
    unsigned char *data = (unsigned char *)own->ring.memory + RING_HEADER_BYTES;

    while (from < to && !spool->cannot_populate) {
        uint64_t offset = from % capacity;
        uint64_t bytes = to - from < capacity - offset ? to - from : capacity - offset;
        if (madvise(data + offset, bytes, MADV_POPULATE_WRITE) != 0 && errno == EINVAL)
            spool->cannot_populate = true;
        from += bytes;
    }
}

static void populate_ahead(struct spool *spool, struct spool_shard *own)
{
    uint64_t write = own->producer.write, capacity = own->producer.capacity_bytes;
    uint64_t ahead = capacity / 2 < POPULATE_AHEAD_BYTES ? capacity / 2 : POPULATE_AHEAD_BYTES;

    if (own->populated >= write + ahead / 2)
        return;
    uint64_t from = own->populated > write ? own->populated : write / PAGE_BYTES * PAGE_BYTES;
    uint64_t to = (write + ahead) / PAGE_BYTES * PAGE_BYTES;
    populate(spool, own, from / PAGE_BYTES * PAGE_BYTES, to);
    own->populated = to;
}

static void tend_ring(struct spool *spool, uint32_t shard, char *note, size_t note_bytes)
{
    struct spool_shard *own = &spool->shard[shard];
    char why[WORDS_BYTES];

    if (clock_ms(CLOCK_MONOTONIC) < spool->retry_ms)
        return;
    int begun = begin_ring(spool, shard, note, note_bytes, why, sizeof why);
    if (begun < 1)
        spool->retry_ms = clock_ms(CLOCK_MONOTONIC) + (begun < 0 ? RETRY_FAILED_MS : RETRY_BUSY_MS);
    if (begun == 1)
        note_rings(spool);
    if (begun == 1 || own->told)
        return;
    if (begun == 0)
        (void)snprintf(why, sizeof why, "%d old rings wait to be drained", SPOOL_OLD_MAX);
    add_note(note, note_bytes, "shard %u: no new ring: %s", shard, why);
    own->told = true;
}

void spool_producer_tend(struct spool *spool, char *note, size_t note_bytes)
{
    if (note_bytes > 0)
        note[0] = '\0';
    for (uint32_t shard = 0; shard < spool->want.shards; shard++) {
        struct spool_shard *own = &spool->shard[shard];
        if (own->ring.memory == NULL || ring_rotation_wanted(own->ring.memory))
            tend_ring(spool, shard, note, note_bytes);
        if (own->ring.memory != NULL)
            populate_ahead(spool, own);
    }
}

uint64_t *spool_producer_last_stamp(struct spool *spool)
{
    return spool_edge_last_stamp(&spool->edge);
}

uint64_t *spool_producer_late_counter(struct spool *spool)
{
    return spool_edge_late_counter(&spool->edge);
}

void spool_producer_count_admitted(struct spool *spool)
{
    spool_edge_count(spool_edge_admitted(&spool->edge));
}

void spool_producer_count_refused(struct spool *spool, enum reason reason)
{
    spool_edge_count(spool_edge_refused(&spool->edge, reason));
}

void spool_producer_count_receipt_dropped(struct spool *spool)
{
    spool_edge_count(spool_edge_receipts_dropped(&spool->edge));
}

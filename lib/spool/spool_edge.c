/* The edge file: its bytes, locks and counters. */
#include "spool/spool_edge.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "edge"
#define VERSION 1u
#define OFFSET_VERSION 8u
#define OFFSET_SHARDS 12u
#define OFFSET_ID 16u
#define OFFSET_CRC 24u
#define OFFSET_LAST_STAMP 128u
#define OFFSET_LATE 136u
#define OFFSET_ADMITTED 144u
#define OFFSET_REFUSED 152u
#define OFFSET_RECEIPTS_DROPPED 280u
#define OFFSET_ASLEEP 512u
#define OFFSET_CLOCK 516u
#define OFFSET_GENERATIONS 1024u
#define OFFSET_RINGS 1280u
#define OFFSET_BEFORE 1288u

static const char magic[8] = {'T', 'A', 'L', 'L', 'Y', 'E', 'D', 'G'};

_Static_assert(OFFSET_REFUSED + 16u * 8u == OFFSET_RECEIPTS_DROPPED && REASON_COUNT <= 16,
               "room for the reasons");

static uint64_t *field64(const struct spool_edge *edge, size_t offset)
{
    return (uint64_t *)(edge->memory + offset);
}

static uint32_t *field32(const struct spool_edge *edge, size_t offset)
{
    return (uint32_t *)(edge->memory + offset);
}

static bool write_whole(int fd, const unsigned char *in, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, in, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        in += n;
        bytes -= (size_t)n;
    }
    return true;
}

int spool_edge_make(int dir_fd, uint32_t shards, uint64_t id, char *error, size_t error_bytes)
{
    unsigned char content[SPOOL_EDGE_BYTES] = {0};
    char temporary[32];
    int result = -1;

    if (faccessat(dir_fd, NAME, F_OK, 0) == 0)
        return 0;
    memcpy(content, magic, sizeof magic);
    bytes_put_u32(content + OFFSET_VERSION, VERSION);
    bytes_put_u32(content + OFFSET_SHARDS, shards);
    bytes_put_u64(content + OFFSET_ID, id);
    bytes_put_u32(content + OFFSET_CRC, crc32c(0, content, OFFSET_CRC));

    (void)snprintf(temporary, sizeof temporary, NAME "-%016llx.new", (unsigned long long)id);
    int fd = openat(dir_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0660);
    if (fd < 0)
        return error_say(error, error_bytes, "%s cannot be made: %s", NAME, strerror(errno));
    /* The books in Redis refer to the id, so it is on the disk before anybody uses it. */
    if (!write_whole(fd, content, sizeof content) || fchmod(fd, 0660) != 0 || fsync(fd) != 0) {
        error_say(error, error_bytes, "%s cannot be written: %s", NAME, strerror(errno));
        goto out;
    }
    if (linkat(dir_fd, temporary, dir_fd, NAME, 0) != 0 && errno != EEXIST) {
        error_say(error, error_bytes, "%s cannot be made: %s", NAME, strerror(errno));
        goto out;
    }
    result = 0;
out:
    close(fd);
    (void)unlinkat(dir_fd, temporary, 0);
    (void)fsync(dir_fd);
    return result;
}

static bool content_valid(const unsigned char *in, const struct stat *status)
{
    if (status->st_size != SPOOL_EDGE_BYTES || !S_ISREG(status->st_mode))
        return false;
    uint32_t shards = bytes_get_u32(in + OFFSET_SHARDS);
    return memcmp(in, magic, sizeof magic) == 0 && bytes_get_u32(in + OFFSET_VERSION) == VERSION &&
           bytes_get_u32(in + OFFSET_CRC) == crc32c(0, in, OFFSET_CRC) && shards >= 1 &&
           shards <= SPOOL_EDGE_SHARDS_MAX && bytes_get_u64(in + OFFSET_ID) != 0;
}

static int open_as(struct spool_edge *edge, int dir_fd, bool writes, char *error,
                   size_t error_bytes)
{
    struct stat status;
    unsigned char head[OFFSET_CRC + 4u];
    void *memory = MAP_FAILED;

    *edge = (struct spool_edge){.fd = -1};
    int fd = openat(dir_fd, NAME, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_say(error, error_bytes, "%s cannot be opened: %s", NAME, strerror(errno));
    if (fstat(fd, &status) != 0 || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
        !content_valid(head, &status)) {
        error_say(error, error_bytes, "%s is not an edge file of version %u, or damaged", NAME,
                  VERSION);
        close(fd);
        errno = EINVAL;
        return -1;
    }
    memory = mmap(NULL, SPOOL_EDGE_BYTES, writes ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                  fd, 0);
    if (memory == MAP_FAILED) {
        int saved = errno;
        error_say(error, error_bytes, "%s cannot be mapped: %s", NAME, strerror(saved));
        close(fd);
        errno = saved;
        return -1;
    }
    *edge = (struct spool_edge){
        .fd = fd,
        .memory = memory,
        .id = bytes_get_u64(head + OFFSET_ID),
        .shards = bytes_get_u32(head + OFFSET_SHARDS),
    };
    return 0;
}

int spool_edge_open(struct spool_edge *edge, int dir_fd, char *error, size_t error_bytes)
{
    return open_as(edge, dir_fd, true, error, error_bytes);
}

int spool_edge_look(struct spool_edge *edge, int dir_fd, char *error, size_t error_bytes)
{
    return open_as(edge, dir_fd, false, error, error_bytes);
}

void spool_edge_close(struct spool_edge *edge)
{
    if (edge->memory != NULL)
        (void)munmap(edge->memory, SPOOL_EDGE_BYTES);
    if (edge->fd >= 0)
        close(edge->fd);
    *edge = (struct spool_edge){.fd = -1};
}

static struct flock lock_of(enum spool_edge_side side)
{
    return (struct flock){
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)side, .l_len = 1};
}

int spool_edge_lock(const struct spool_edge *edge, enum spool_edge_side side)
{
    struct flock lock = lock_of(side);
    return fcntl(edge->fd, F_OFD_SETLK, &lock);
}

bool spool_edge_locked(const struct spool_edge *edge, enum spool_edge_side side)
{
    struct flock lock = lock_of(side);
    return fcntl(edge->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

uint32_t spool_edge_generation(const struct spool_edge *edge, uint32_t shard)
{
    return __atomic_load_n(field32(edge, OFFSET_GENERATIONS) + shard, __ATOMIC_ACQUIRE);
}

void spool_edge_raise_generation(struct spool_edge *edge, uint32_t shard)
{
    uint32_t next = spool_edge_generation(edge, shard) + 1;
    __atomic_store_n(field32(edge, OFFSET_GENERATIONS) + shard, next, __ATOMIC_RELEASE);
}

void spool_edge_set_asleep(struct spool_edge *edge, bool asleep)
{
    __atomic_store_n(field32(edge, OFFSET_ASLEEP), asleep ? 1u : 0u, __ATOMIC_SEQ_CST);
}

bool spool_edge_take_asleep(struct spool_edge *edge)
{
    uint32_t *asleep = field32(edge, OFFSET_ASLEEP);
    /* Loading first keeps the line shared while the consumer is awake. */
    return __atomic_load_n(asleep, __ATOMIC_SEQ_CST) != 0 &&
           __atomic_exchange_n(asleep, 0u, __ATOMIC_SEQ_CST) != 0;
}

bool spool_edge_clock_bad(const struct spool_edge *edge)
{
    return __atomic_load_n(field32(edge, OFFSET_CLOCK), __ATOMIC_RELAXED) != 0;
}

void spool_edge_set_clock_bad(struct spool_edge *edge, bool bad)
{
    __atomic_store_n(field32(edge, OFFSET_CLOCK), bad ? 1u : 0u, __ATOMIC_RELAXED);
}

uint64_t *spool_edge_last_stamp(struct spool_edge *edge)
{
    return field64(edge, OFFSET_LAST_STAMP);
}

uint64_t *spool_edge_late_counter(struct spool_edge *edge)
{
    return field64(edge, OFFSET_LATE);
}

uint64_t *spool_edge_admitted(const struct spool_edge *edge)
{
    return field64(edge, OFFSET_ADMITTED);
}

void spool_edge_note_rings(struct spool_edge *edge, uint64_t rings, uint64_t in_rings)
{
    uint64_t before = spool_edge_counted(spool_edge_admitted(edge)) - in_rings;
    /* A producer killed in between leaves no note. */
    __atomic_store_n(field64(edge, OFFSET_RINGS), 0, __ATOMIC_RELEASE);
    __atomic_store_n(field64(edge, OFFSET_BEFORE), before, __ATOMIC_RELEASE);
    __atomic_store_n(field64(edge, OFFSET_RINGS), rings, __ATOMIC_RELEASE);
}

bool spool_edge_one_uncounted(const struct spool_edge *edge, uint64_t rings, uint64_t in_rings)
{
    return rings != 0 && *field64(edge, OFFSET_RINGS) == rings &&
           *field64(edge, OFFSET_BEFORE) + in_rings ==
               spool_edge_counted(spool_edge_admitted(edge)) + 1;
}

uint64_t *spool_edge_refused(const struct spool_edge *edge, enum reason reason)
{
    return field64(edge, OFFSET_REFUSED) + reason;
}

uint64_t *spool_edge_receipts_dropped(const struct spool_edge *edge)
{
    return field64(edge, OFFSET_RECEIPTS_DROPPED);
}

void spool_edge_count(uint64_t *counter) // NOLINT(readability-non-const-parameter)
{
    /* There is one writer, so no locked instruction is needed. */
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

uint64_t spool_edge_counted(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

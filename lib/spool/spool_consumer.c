/* The consumer's side of a spool: follows the rings, lists the old ones, sleeps, and is woken. */
#include "spool/spool_consumer.h"

#include "core/error.h"
#include "spool/spool_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUARANTINE_MAX_BYTES (1024 * 1024)
#define BAD_MAX 4
#define WHY_MAX_BYTES 120

struct spool *spool_consumer_open(const char *path, bool *retry, struct error *error)
{
    struct error why;

    *retry = false;
    struct spool *spool = spool_new(path, error);
    if (spool == NULL)
        return NULL;
    spool->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->fd < 0) {
        *retry = errno == ENOENT;
        error_set(error, "spool %s: cannot be opened: %s", path, strerror(errno));
        goto fail;
    }
    if (spool_edge_open(&spool->edge, spool->fd, &why) != 0) {
        *retry = errno == ENOENT;
        error_set(error, "spool %s: %s", path, why.text);
        goto fail;
    }
    if (spool_edge_lock(&spool->edge, SPOOL_EDGE_CONSUMER) != 0) {
        error_set(error, "spool %s: %s", path,
                  errno == EAGAIN || errno == EACCES ? "another collector has it"
                                                     : strerror(errno));
        goto fail;
    }
    if (spool_open_wake(spool, error) != 0) {
        *retry = errno == ENOENT;
        goto fail;
    }
    return spool;
fail:
    spool_free(spool);
    return NULL;
}

/* --- rings --- */

bool spool_consumer_ring_replaced(const struct spool *spool, uint32_t shard)
{
    const struct spool_shard *own = &spool->shard[shard];
    return !own->looked || spool_edge_generation(&spool->edge, shard) != own->generation;
}

/* Maps the shard's current ring file, and records the generation under which it looked for it. If
 * the producer replaces the file meanwhile, the generation rises afterwards, and this ring is then
 * seen to be replaced. */
static int spool_consumer_look(struct spool *spool, uint32_t shard, struct ring_file *ring,
                               struct ring_identity *identity, struct error *error)
{
    struct spool_shard *own = &spool->shard[shard];
    char name[RING_FILE_NAME_BYTES];
    struct error why;

    own->generation = spool_edge_generation(&spool->edge, shard);
    own->looked = true;
    ring_file_name(name, shard);
    if (ring_file_map(ring, spool->fd, name, false, &why) != 0)
        return error_set(error, "spool %s: %s", spool->path, why.text);
    if (ring_identify(ring->memory, ring->bytes, identity, &why) != 0) {
        ring_file_unmap(ring);
        return error_set(error, "spool %s: %s: %s", spool->path, name, why.text);
    }
    if (identity->shard != shard || identity->shards != spool->edge.shards ||
        identity->edge_id != spool->edge.id) {
        ring_file_unmap(ring);
        return error_set(error, "spool %s: %s is another shard's or edge's", spool->path, name);
    }
    return 0;
}

int spool_consumer_ring(struct spool *spool, uint32_t shard, void **memory, uint64_t *bytes,
                        struct ring_identity *identity, struct error *error)
{
    struct spool_shard *own = &spool->shard[shard];
    struct ring_identity found;
    struct ring_file ring;
    bool another = false;

    if (own->ring.memory == NULL || spool_consumer_ring_replaced(spool, shard)) {
        if (spool_consumer_look(spool, shard, &ring, &found, error) != 0) {
            ring_file_unmap(&own->ring);
            return -1;
        }
        another = own->ring.memory == NULL || found.ring_id != own->identity.ring_id;
        if (another) {
            ring_file_unmap(&own->ring);
            own->ring = ring;
            own->identity = found;
        } else {
            ring_file_unmap(&ring);
        }
    }
    *memory = own->ring.memory;
    *bytes = own->ring.bytes;
    *identity = own->identity;
    return another ? 1 : 0;
}

void spool_consumer_look_again(struct spool *spool, uint32_t shard)
{
    spool->shard[shard].looked = false;
}

int spool_consumer_list_old(struct spool *spool, struct spool_consumer_old *out, int max)
{
    int n = 0;
    int fd = openat(spool->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    if (entries == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    for (struct dirent *entry; n < max && (entry = readdir(entries)) != NULL;) {
        struct spool_consumer_old *old = &out[n];
        if (!ring_file_parse_name(entry->d_name, "old", &old->shard, &old->name_id))
            continue;
        int bytes = snprintf(old->path, sizeof old->path, "%s/%s", spool->path, entry->d_name);
        if (bytes > 0 && (size_t)bytes < sizeof old->path)
            n++;
    }
    closedir(entries);
    return n;
}

int spool_consumer_map_old(const struct spool_consumer_old *old, void **memory, uint64_t *bytes,
                           struct error *error)
{
    struct ring_file ring;
    int result = ring_file_map(&ring, AT_FDCWD, old->path, false, error);
    if (result != 0)
        return result;
    *memory = ring.memory;
    *bytes = ring.bytes;
    return 0;
}

void spool_consumer_unmap_old(void *memory, uint64_t bytes)
{
    struct ring_file ring = {memory, bytes};
    ring_file_unmap(&ring);
}

int spool_consumer_delete_old(const struct spool_consumer_old *old)
{
    return unlink(old->path) == 0 || errno == ENOENT ? 0 : -1;
}

int spool_consumer_put_away(struct spool *spool, const struct spool_consumer_old *old)
{
    char name[RING_FILE_NAME_BYTES];
    int there = ring_file_count(spool->fd, "bad", old->shard);

    if (there < 0)
        return -1;
    if (there >= BAD_MAX)
        return spool_consumer_delete_old(old) == 0 ? 1 : -1;
    ring_file_bad_name(name, old->shard, old->name_id);
    return renameat(AT_FDCWD, old->path, spool->fd, name);
}

bool spool_consumer_has_producer(struct spool *spool)
{
    return spool_edge_locked(&spool->edge, SPOOL_EDGE_PRODUCER);
}

/* --- sleeping --- */

int spool_consumer_wake_fd(const struct spool *spool)
{
    return spool->wake_fd;
}

void spool_consumer_wake_clear(struct spool *spool)
{
    char bytes[64];
    ssize_t n;
    do
        n = read(spool->wake_fd, bytes, sizeof bytes);
    while (n == (ssize_t)sizeof bytes || (n < 0 && errno == EINTR));
}

void spool_consumer_asleep(struct spool *spool)
{
    spool_edge_set_asleep(&spool->edge, true);
}

void spool_consumer_awake(struct spool *spool)
{
    spool_edge_set_asleep(&spool->edge, false);
}

void spool_consumer_set_clock_bad(struct spool *spool, bool bad)
{
    spool_edge_set_clock_bad(&spool->edge, bad);
}

/* --- records that could not be applied --- */

#define QUARANTINE "quarantine"
#define BLOCK_BYTES 65536
#define LINE_MAX_BYTES (2 * RECORD_MAX_BYTES + 1 + WHY_MAX_BYTES + 1)

/* Whether one of the whole lines begins with these bytes. *used is where the whole lines end. */
static bool lines_have(const char *text, size_t text_bytes, const char *beginning, size_t bytes,
                       size_t *used)
{
    const char *end;
    for (*used = 0; (end = memchr(text + *used, '\n', text_bytes - *used)) != NULL;
         *used = (size_t)(end - text) + 1)
        if ((size_t)(end - text) - *used >= bytes && memcmp(text + *used, beginning, bytes) == 0)
            return true;
    return false;
}

/* Returns 1 if a line of the file begins with these bytes, 0 if none does, -1 if the file cannot be
 * read. */
static int has_line(const struct spool *spool, const char *beginning, size_t bytes)
{
    char block[BLOCK_BYTES];
    size_t have = 0, used;
    ssize_t n;
    int fd = openat(spool->fd, QUARANTINE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    while ((n = read(fd, block + have, sizeof block - have)) > 0) {
        have += (size_t)n;
        if (lines_have(block, have, beginning, bytes, &used)) {
            close(fd);
            return 1;
        }
        have -= used;
        memmove(block, block + used, have);
        if (have == sizeof block)
            have = 0; /* no line of ours is that long */
    }
    close(fd);
    return n < 0 ? -1 : 0;
}

/* Writes the line whole or not at all. */
static int append_line(int fd, const char *line, size_t bytes)
{
    struct stat status;
    char last = '\n';
    if (fstat(fd, &status) != 0 || status.st_size + (off_t)bytes + 1 > QUARANTINE_MAX_BYTES)
        return -1;
    if (status.st_size > 0 && pread(fd, &last, 1, status.st_size - 1) != 1)
        return -1;
    /* The file was cut within a line. */
    if (last != '\n' && write(fd, "\n", 1) != 1)
        return -1;
    if (write(fd, line, bytes) == (ssize_t)bytes)
        return 0;
    (void)!ftruncate(fd, status.st_size);
    return -1;
}

int spool_consumer_quarantine(struct spool *spool, const struct record *record, const char *why)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char content[RECORD_MAX_BYTES];
    char line[LINE_MAX_BYTES];
    size_t bytes = record_bytes(record), used = 0;

    record_write(record, 0, content);
    for (size_t i = 0; i < bytes; i++) {
        line[used++] = hex[content[i] >> 4];
        line[used++] = hex[content[i] & 15];
    }
    line[used++] = ' ';
    int there = has_line(spool, line, used);
    if (there != 0)
        return there;
    for (size_t i = 0; i < WHY_MAX_BYTES && why[i] != '\0'; i++)
        line[used++] = why[i] < ' ' || why[i] > '~' ? '?' : why[i];
    line[used++] = '\n';

    int fd =
        openat(spool->fd, QUARANTINE, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
    if (fd < 0)
        return -1;
    (void)fchmod(fd, 0660);
    int result = append_line(fd, line, used);
    close(fd);
    return result;
}

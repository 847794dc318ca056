/* Ring files: their names, and making, mapping, installing and retiring them. */
#include "spool/ring_file.h"

#include "core/error.h"
#include "spool/ring_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_DIGITS 16

void ring_file_name(char out[RING_FILE_NAME_BYTES], uint32_t shard)
{
    (void)snprintf(out, RING_FILE_NAME_BYTES, "ring-%u", shard);
}

void ring_file_old_name(char out[RING_FILE_NAME_BYTES], uint32_t shard, uint64_t ring_id)
{
    (void)snprintf(out, RING_FILE_NAME_BYTES, "old-%u-%016llx", shard, (unsigned long long)ring_id);
}

void ring_file_bad_name(char out[RING_FILE_NAME_BYTES], uint32_t shard, uint64_t ring_id)
{
    (void)snprintf(out, RING_FILE_NAME_BYTES, "bad-%u-%016llx", shard, (unsigned long long)ring_id);
}

bool ring_file_parse_name(const char *name, const char *prefix, uint32_t *shard, uint64_t *ring_id)
{
    size_t prefix_bytes = strlen(prefix);
    if (strncmp(name, prefix, prefix_bytes) != 0 || name[prefix_bytes] != '-')
        return false;
    const char *at = name + prefix_bytes + 1;
    *shard = 0;
    *ring_id = 0;
    size_t digits = strspn(at, "0123456789");
    if (digits < 1 || digits > 2 || at[digits] != '-')
        return false;
    for (size_t i = 0; i < digits; i++)
        *shard = *shard * 10 + (uint32_t)(at[i] - '0');
    at += digits + 1;
    if (strspn(at, "0123456789abcdef") != ID_DIGITS || at[ID_DIGITS] != '\0')
        return false;
    for (int i = 0; i < ID_DIGITS; i++)
        *ring_id = *ring_id << 4 | (uint64_t)(at[i] <= '9' ? at[i] - '0' : at[i] - 'a' + 10);
    return true;
}

static void temporary_name(char out[RING_FILE_NAME_BYTES], uint32_t shard)
{
    (void)snprintf(out, RING_FILE_NAME_BYTES, "ring-%u.new", shard);
}

int ring_file_make(struct ring_file *ring, int dir_fd, const struct ring_identity *identity,
                   struct error *error)
{
    char name[RING_FILE_NAME_BYTES];
    uint64_t bytes = RING_HEADER_BYTES + identity->capacity_bytes;
    int wrong;

    *ring = (struct ring_file){0};
    temporary_name(name, identity->shard);
    (void)unlinkat(dir_fd, name, 0); /* left behind by a producer killed here */
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0660);
    if (fd < 0)
        return error_set(error, "%s cannot be made: %s", name, strerror(errno));
    /* With a sparse file on a full disk, a later store would raise SIGBUS. */
    do
        wrong = posix_fallocate(fd, 0, (off_t)bytes);
    while (wrong == EINTR);
    if (wrong != 0) {
        error_set(error, "%s cannot have its %llu bytes: %s", name, (unsigned long long)bytes,
                  strerror(wrong));
        goto fail;
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        error_set(error, "%s cannot be mapped: %s", name, strerror(errno));
        goto fail;
    }
    *ring = (struct ring_file){memory, bytes};
    ring_format(memory, identity);
    /* The header holds the ring's id. Without it, nothing in the ring could be recovered after a
     * power loss. */
    if (fchmod(fd, 0660) != 0 || fsync(fd) != 0) {
        error_set(error, "%s cannot be written: %s", name, strerror(errno));
        goto fail;
    }
    close(fd);
    return 0;
fail:
    ring_file_unmap(ring);
    close(fd);
    (void)unlinkat(dir_fd, name, 0);
    return -1;
}

int ring_file_install(int dir_fd, uint32_t shard, struct error *error)
{
    char from[RING_FILE_NAME_BYTES], to[RING_FILE_NAME_BYTES];
    temporary_name(from, shard);
    ring_file_name(to, shard);
    if (renameat(dir_fd, from, dir_fd, to) != 0)
        return error_set(error, "%s cannot become %s: %s", from, to, strerror(errno));
    (void)fsync(dir_fd);
    return 0;
}

static bool size_possible(const struct stat *status)
{
    uint64_t bytes = (uint64_t)status->st_size;
    return S_ISREG(status->st_mode) && bytes >= RING_HEADER_BYTES + RING_CAPACITY_MIN_BYTES &&
           bytes <= RING_HEADER_BYTES + RING_CAPACITY_MAX_BYTES;
}

static int cannot(const char *what, const char *name, struct error *error)
{
    int wrong = errno;
    error_set(error, "%s cannot be %s: %s", name, what, strerror(wrong));
    errno = wrong;
    return 1;
}

static int map_open(struct ring_file *ring, int fd, const char *name, bool writes, bool allocate,
                    struct error *error)
{
    struct stat status;
    int wrong = 0;

    if (fstat(fd, &status) != 0)
        return cannot("looked at", name, error);
    if (!size_possible(&status))
        return error_set(error, "the size of %s is not that of a ring", name);
    if (allocate)
        do
            wrong = posix_fallocate(fd, 0, status.st_size);
        while (wrong == EINTR);
    errno = wrong;
    if (wrong != 0)
        return cannot("given all its space", name, error);
    void *memory = mmap(NULL, (size_t)status.st_size, writes ? PROT_READ | PROT_WRITE : PROT_READ,
                        MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return cannot("mapped", name, error);
    *ring = (struct ring_file){memory, (uint64_t)status.st_size};
    return 0;
}

static int map(struct ring_file *ring, int dir_fd, const char *name, bool writes, bool allocate,
               struct error *error)
{
    *ring = (struct ring_file){0};
    int fd = openat(dir_fd, name, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return cannot("opened", name, error);
    int result = map_open(ring, fd, name, writes, allocate, error);
    int wrong = errno;
    close(fd);
    errno = wrong;
    return result;
}

int ring_file_map(struct ring_file *ring, int dir_fd, const char *name, bool allocate,
                  struct error *error)
{
    return map(ring, dir_fd, name, true, allocate, error);
}

int ring_file_look(struct ring_file *ring, int dir_fd, const char *name, struct error *error)
{
    return map(ring, dir_fd, name, false, false, error);
}

void ring_file_unmap(struct ring_file *ring)
{
    if (ring->memory != NULL)
        (void)munmap(ring->memory, ring->bytes);
    *ring = (struct ring_file){0};
}

int ring_file_count(int dir_fd, const char *prefix, uint32_t shard)
{
    int n = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        uint32_t found;
        uint64_t id;
        if (ring_file_parse_name(entry->d_name, prefix, &found, &id) && found == shard)
            n++;
    }
    closedir(dir);
    return n;
}

/* Whether a ring can be dropped without a loss: neither its header nor its data show a record.
 * (After a power loss the header may be older than the data.) */
static bool never_held(const struct ring_file *ring)
{
    struct ring_scan found;
    return ring_write_position(ring->memory) == 0 &&
           ring_scan(ring->memory, ring->bytes, NULL, NULL, &found) == 0 && found.records == 0;
}

int ring_file_retire(int dir_fd, uint32_t shard, uint64_t fresh_id, char name[RING_FILE_NAME_BYTES],
                     uint64_t *store_id, struct error *error)
{
    char current[RING_FILE_NAME_BYTES];
    struct ring_identity identity;
    struct ring_file ring;
    bool empty = false;
    uint64_t id = fresh_id;

    ring_file_name(current, shard);
    name[0] = '\0';
    *store_id = 0;
    if (faccessat(dir_fd, current, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
        return 0;
    if (ring_file_map(&ring, dir_fd, current, false, NULL) == 0) {
        if (ring_identify(ring.memory, ring.bytes, &identity, NULL) == 0) {
            id = identity.ring_id;
            *store_id = ring_store_id(ring.memory);
            empty = never_held(&ring);
        }
        ring_file_unmap(&ring);
    }
    if (empty)
        return 0;
    ring_file_old_name(name, shard, id);
    if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) /* a copy of the same ring */
        ring_file_old_name(name, shard, fresh_id);
    if (renameat(dir_fd, current, dir_fd, name) != 0)
        return error_set(error, "%s cannot become %s: %s", current, name, strerror(errno));
    return 1;
}

/* What both sides of a spool do: open and close, and read the edge file. */
#include "spool/spool_internal.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NAME_ROOM 64 /* the most that a file's name and its slash take */

_Static_assert(SPOOL_SHARDS_MAX == SPOOL_EDGE_SHARDS_MAX, "one bound of shards");

struct spool *spool_new(const char *path, char *error, size_t error_bytes)
{
    size_t bytes = strlen(path);
    if (bytes == 0 || bytes + NAME_ROOM > SPOOL_PATH_MAX_BYTES) {
        error_say(error, error_bytes, "spool %.64s: a path of 1 to %d bytes is needed", path,
                  SPOOL_PATH_MAX_BYTES - NAME_ROOM);
        return NULL;
    }
    struct spool *spool = calloc(1, sizeof *spool);
    if (spool == NULL) {
        error_say(error, error_bytes, "spool %s: no memory", path);
        return NULL;
    }
    spool->fd = -1;
    spool->wake_fd = -1;
    spool->edge.fd = -1;
    memcpy(spool->path, path, bytes + 1);
    return spool;
}

void spool_free(struct spool *spool)
{
    if (spool == NULL)
        return;
    for (uint32_t i = 0; i < SPOOL_SHARDS_MAX; i++)
        ring_file_unmap(&spool->shard[i].ring);
    spool_edge_close(&spool->edge);
    if (spool->wake_fd >= 0)
        close(spool->wake_fd);
    if (spool->fd >= 0)
        close(spool->fd);
    free(spool);
}

int spool_open_wake(struct spool *spool, char *error, size_t error_bytes)
{
    struct stat status;
    spool->wake_fd = openat(spool->fd, "wake", O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (spool->wake_fd < 0)
        return error_say(error, error_bytes, "spool %s: wake cannot be opened: %s", spool->path,
                         strerror(errno));
    if (fstat(spool->wake_fd, &status) != 0 || !S_ISFIFO(status.st_mode)) {
        error_say(error, error_bytes, "spool %s: wake is not a FIFO", spool->path);
        errno = EINVAL;
        return -1;
    }
    return 0;
}

uint64_t spool_id(const struct spool *spool)
{
    return spool->edge.id;
}

uint32_t spool_shards(const struct spool *spool)
{
    return spool->edge.shards;
}

uint64_t spool_admitted(const struct spool *spool)
{
    return spool_edge_counted(spool_edge_admitted(&spool->edge));
}

uint64_t spool_refused(const struct spool *spool, enum reason reason)
{
    return spool_edge_counted(spool_edge_refused(&spool->edge, reason));
}

uint64_t spool_receipts_dropped(const struct spool *spool)
{
    return spool_edge_counted(spool_edge_receipts_dropped(&spool->edge));
}

bool spool_clock_bad(const struct spool *spool)
{
    return spool_edge_clock_bad(&spool->edge);
}

/* The numbers come from statfs(2) and the kernel's linux/magic.h. */
static const struct {
    uint32_t magic;
    const char *name;
    bool safe, survives_reboot;
} file_systems[] = {
    {0x0000ef53, "ext4", true, true},      {0x58465342, "xfs", true, true},
    {0xf2f52010, "f2fs", true, true},      {0x3153464a, "jfs", true, true},
    {0x794c7630, "overlayfs", true, true}, {0x01021994, "tmpfs", true, false},
    {0x858458f6, "ramfs", true, false},    {0x9123683e, "btrfs", false, true},
    {0x2fc12fc1, "zfs", false, true},      {0xca451a4e, "bcachefs", false, true},
    {0x00006969, "nfs", false, true},      {0xff534d42, "cifs", false, true},
    {0xfe534d42, "smb2", false, true},     {0x0000517b, "smb", false, true},
    {0x01021997, "9p", false, true},       {0x65735546, "fuse", false, true},
    {0x00c36400, "ceph", false, true},     {0x47504653, "gpfs", false, true},
    {0x0bd00bd0, "lustre", false, true},   {0x5346414f, "afs", false, true},
    {0x00004d44, "vfat", false, true},
};

const char *spool_file_system(const char *path, bool *safe, bool *survives_reboot)
{
    struct statfs status;
    *safe = false;
    *survives_reboot = true;
    if (statfs(path, &status) != 0)
        return "unknown";
    for (size_t i = 0; i < sizeof file_systems / sizeof file_systems[0]; i++)
        if (file_systems[i].magic == (uint32_t)status.f_type) {
            *safe = file_systems[i].safe;
            *survives_reboot = file_systems[i].survives_reboot;
            return file_systems[i].name;
        }
    return "unknown";
}

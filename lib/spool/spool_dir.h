/* The inside of an open spool, for spool_dir.c (both sides), spool_dir_produce.c and
 * spool_dir_consume.c only. All other code uses spool_file.h. */
#ifndef TALLY_SPOOL_SPOOL_DIR_H
#define TALLY_SPOOL_SPOOL_DIR_H

#include "spool/spool_edge.h"
#include "spool/spool_file.h"
#include "spool/spool_ring.h"

struct spool_dir_shard {
    struct spool_ring ring;
    struct spool_producer producer; /* producer: valid while ring.memory is set */
    uint64_t populated;             /* producer: pages are populated up to this position */
    bool told; /* producer: a missing ring, or one that cannot be replaced, was reported */

    struct spool_identity identity; /* consumer: of the mapped ring */
    uint32_t generation;            /* consumer: when the ring was last looked for */
    bool looked;                    /* consumer: it was looked for */
};

struct spool_dir {
    int fd; /* of the directory */
    int wake_fd;
    struct spool_edge edge;
    struct spool_dir_want want;                 /* producer */
    unsigned char boot_id[SPOOL_BOOT_ID_BYTES]; /* producer */
    uint64_t retry_ms;    /* producer: do not make a ring before this monotonic time */
    bool cannot_populate; /* producer: the kernel lacks MADV_POPULATE_WRITE */
    struct spool_dir_shard shard[SPOOL_SHARDS_MAX];
    char path[SPOOL_PATH_MAX_BYTES];
};

/* A new spool that holds only its path. Returns NULL with `error` if the path is too long or memory
 * runs out. */
struct spool_dir *spool_dir_new(const char *path, char *error, size_t error_bytes);

/* Opens the FIFO so that neither side ever sees an end-of-file or ENXIO. Returns 0, or -1 with
 * `error` and errno. */
int spool_dir_open_wake(struct spool_dir *dir, char *error, size_t error_bytes);

#endif

/* The inside of an open spool, for spool.c, spool_producer.c and spool_consumer.c only. */
#ifndef TALLY_SPOOL_SPOOL_INTERNAL_H
#define TALLY_SPOOL_SPOOL_INTERNAL_H

#include "core/error.h"
#include "spool/ring.h"
#include "spool/ring_file.h"
#include "spool/ring_producer.h"
#include "spool/spool.h"
#include "spool/spool_edge.h"
#include "spool/spool_producer.h"

struct spool_shard {
    struct ring_file ring;
    struct ring_producer producer; /* producer: valid while ring.memory is set */
    uint64_t populated;            /* producer: pages are populated up to this position */
    bool told; /* producer: a missing ring, or one that cannot be replaced, was reported */

    struct ring_identity identity; /* consumer: of the mapped ring */
    uint32_t generation;           /* consumer: when the ring was last looked for */
    bool looked;                   /* consumer: it was looked for */
};

struct spool {
    int fd; /* of the directory */
    int wake_fd;
    struct spool_edge edge;
    struct spool_producer_want want;           /* producer */
    unsigned char boot_id[RING_BOOT_ID_BYTES]; /* producer */
    uint64_t retry_ms;    /* producer: do not make a ring before this monotonic time */
    bool cannot_populate; /* producer: the kernel has no MADV_POPULATE_WRITE */
    struct spool_shard shard[SPOOL_SHARDS_MAX];
    char path[SPOOL_PATH_MAX_BYTES];
};

/* A new spool that holds only its path. Returns NULL with `error` if the path is too long or memory
 * runs out. */
struct spool *spool_new(const char *path, struct error *error);

/* Opens the FIFO so that neither side ever sees an end-of-file or ENXIO. Returns 0, or -1 with
 * `error` and errno. */
int spool_open_wake(struct spool *spool, struct error *error);

#endif

/* A ring as a file in the spool's directory (FORMATS.md 4): names, making, mapping, putting
 * away. Its content is spool.h's. The directory comes in as an open descriptor. One thread. */
#ifndef TALLY_SPOOL_SPOOL_RING_H
#define TALLY_SPOOL_SPOOL_RING_H

#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_RING_NAME_BYTES 40 /* of a name with its NUL */

/* A mapped ring file; memory NULL: none. */
struct spool_ring {
    void *memory;
    uint64_t bytes;
};

void spool_ring_name(char out[SPOOL_RING_NAME_BYTES], uint32_t shard); /* ring-3 */
void spool_ring_old_name(char out[SPOOL_RING_NAME_BYTES], uint32_t shard,
                         uint64_t ring_id); /* old-3-… */
void spool_ring_bad_name(char out[SPOOL_RING_NAME_BYTES], uint32_t shard,
                         uint64_t ring_id); /* bad-3-… */

/* Whether the name is that of a ring with this prefix ("old" or "bad"); shard and ring id out of
 * it. */
bool spool_ring_parse_name(const char *name, const char *prefix, uint32_t *shard,
                           uint64_t *ring_id);

/* Makes `ring-<shard>.new`: all its space allocated, its header written and on the disk.
 * spool_ring_install gives it its name. Returns 0, or -1 with `error` and nothing left behind. */
int spool_ring_make(struct spool_ring *ring, int dir_fd, const struct spool_identity *identity,
                    char *error, size_t error_bytes);

/* Renames `ring-<shard>.new` to `ring-<shard>`. Returns 0, or -1 with `error`. */
int spool_ring_install(int dir_fd, uint32_t shard, char *error, size_t error_bytes);

/* Maps a file read-write, where its size can be a ring's; `allocate` makes sure that all of it has
 * space. Returns 0; -1 with `error` where its size is no ring's; 1 with `error` and errno where it
 * cannot be mapped now, which says nothing about what is in it. */
int spool_ring_map(struct spool_ring *ring, int dir_fd, const char *name, bool allocate,
                   char *error, size_t error_bytes);
void spool_ring_unmap(struct spool_ring *ring);

/* The same as spool_ring_map, but read-only. */
int spool_ring_look(struct spool_ring *ring, int dir_fd, const char *name, char *error,
                    size_t error_bytes);

/* How many files there are with this prefix ("old", "bad") for the shard, or -1. */
int spool_ring_count(int dir_fd, const char *prefix, uint32_t shard);

/* Takes the file `ring-<shard>` out of the way: renames it to `old-<shard>-<ring id>` (`fresh_id`
 * where its header is damaged); where it never held anything it stays, to be replaced by
 * spool_ring_install. Returns 1 where it was renamed, 0 where it stays or there was none, -1 with
 * `error`. The new name in `name`; in `store_id` that of the ring, for the next one to go on with
 * (spool_store_id), 0 where it has none. */
int spool_ring_retire(int dir_fd, uint32_t shard, uint64_t fresh_id,
                      char name[SPOOL_RING_NAME_BYTES], uint64_t *store_id, char *error,
                      size_t error_bytes);

#endif

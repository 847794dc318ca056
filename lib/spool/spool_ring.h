/* A ring as a file in the spool's directory (FORMATS.md 4): naming, making, mapping, putting aside.
 * spool.h handles its contents. The directory is passed as an open descriptor. One thread. */
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

/* Whether `name` is a ring's name with this prefix ("old" or "bad"). Extracts the shard and ring
 * id. */
bool spool_ring_parse_name(const char *name, const char *prefix, uint32_t *shard,
                           uint64_t *ring_id);

/* Makes `ring-<shard>.new`: allocates all of its space and writes its header to the disk.
 * spool_ring_install then gives it its name. Returns 0, or -1 with `error` and leaves nothing
 * behind. */
int spool_ring_make(struct spool_ring *ring, int dir_fd, const struct spool_identity *identity,
                    char *error, size_t error_bytes);

/* Renames `ring-<shard>.new` to `ring-<shard>`. Returns 0, or -1 with `error`. */
int spool_ring_install(int dir_fd, uint32_t shard, char *error, size_t error_bytes);

/* Maps a file read-write if its size can be a ring's. `allocate` makes sure that all of it has
 * space. Returns 0; -1 with `error` if the size is wrong; 1 with `error` and errno if it cannot be
 * mapped now, which says nothing about its contents. */
int spool_ring_map(struct spool_ring *ring, int dir_fd, const char *name, bool allocate,
                   char *error, size_t error_bytes);
void spool_ring_unmap(struct spool_ring *ring);

/* The same as spool_ring_map, read-only. */
int spool_ring_look(struct spool_ring *ring, int dir_fd, const char *name, char *error,
                    size_t error_bytes);

/* How many files the shard has with this prefix ("old", "bad"), or -1. */
int spool_ring_count(int dir_fd, const char *prefix, uint32_t shard);

/* Moves the file `ring-<shard>` out of the way by renaming it to `old-<shard>-<ring id>`
 * (`fresh_id` if its header is damaged). A ring that never held anything stays, and
 * spool_ring_install replaces it. Returns 1 if it was renamed, 0 if it stays or was absent, -1 with
 * `error`. `name` receives the new name. `store_id` receives the ring's store id for the next ring
 * to continue with (spool_store_id), or 0 if it has none. */
int spool_ring_retire(int dir_fd, uint32_t shard, uint64_t fresh_id,
                      char name[SPOOL_RING_NAME_BYTES], uint64_t *store_id, char *error,
                      size_t error_bytes);

#endif

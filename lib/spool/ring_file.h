/* A ring as a file in the spool's directory (FORMATS.md 4): naming, making, mapping, putting aside.
 * ring.h handles its contents. The directory is passed as an open descriptor. One thread. */
#ifndef TALLY_SPOOL_RING_FILE_H
#define TALLY_SPOOL_RING_FILE_H

#include "core/error.h"
#include "spool/ring.h"

#include <stdbool.h>
#include <stdint.h>

#define RING_FILE_NAME_BYTES 40 /* of a name with its NUL */

/* A mapped ring file; memory NULL: none. */
struct ring_file {
    void *memory;
    uint64_t bytes;
};

void ring_file_name(char out[RING_FILE_NAME_BYTES], uint32_t shard); /* ring-3 */
void ring_file_old_name(char out[RING_FILE_NAME_BYTES], uint32_t shard,
                        uint64_t ring_id); /* old-3-… */
void ring_file_bad_name(char out[RING_FILE_NAME_BYTES], uint32_t shard,
                        uint64_t ring_id); /* bad-3-… */

/* Whether `name` is a ring's name with this prefix ("old" or "bad"). Extracts the shard and ring
 * id. */
bool ring_file_parse_name(const char *name, const char *prefix, uint32_t *shard, uint64_t *ring_id);

/* Makes `ring-<shard>.new`: allocates all of its space and writes its header to the disk.
 * ring_file_install then gives it its name. Returns 0, or -1 with `error` and leaves nothing
 * behind. */
int ring_file_make(struct ring_file *ring, int dir_fd, const struct ring_identity *identity,
                   struct error *error);

/* Renames `ring-<shard>.new` to `ring-<shard>`. Returns 0, or -1 with `error`. */
int ring_file_install(int dir_fd, uint32_t shard, struct error *error);

/* Maps a file read-write if its size can be a ring's. `allocate` makes sure that all of it has
 * space. Returns 0; -1 with `error` if the size is wrong; 1 with `error` and errno if it cannot be
 * mapped now, which says nothing about its contents. */
int ring_file_map(struct ring_file *ring, int dir_fd, const char *name, bool allocate,
                  struct error *error);
void ring_file_unmap(struct ring_file *ring);

/* The same as ring_file_map, read-only. */
int ring_file_look(struct ring_file *ring, int dir_fd, const char *name, struct error *error);

/* How many files the shard has with this prefix ("old", "bad"), or -1. */
int ring_file_count(int dir_fd, const char *prefix, uint32_t shard);

/* Moves the file `ring-<shard>` out of the way by renaming it to `old-<shard>-<ring id>`
 * (`fresh_id` if its header is damaged or cannot be read now: a reader of the file goes by its
 * header, not by its name). A ring that never held anything stays, and ring_file_install replaces
 * it. Returns 1 if it was renamed, 0 if it stays or was absent, -1 with `error`. `name` receives
 * the new name. `store_id` receives the ring's store id for the next ring to continue with
 * (ring_store_id), or 0 if it has none. */
int ring_file_retire(int dir_fd, uint32_t shard, uint64_t fresh_id, char name[RING_FILE_NAME_BYTES],
                     uint64_t *store_id, struct error *error);

#endif

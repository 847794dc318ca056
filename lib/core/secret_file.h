/* Files that hold secrets: only their owner and group may read or write them. Any thread. */
#ifndef TALLY_CORE_SECRET_FILE_H
#define TALLY_CORE_SECRET_FILE_H

#include "core/error.h"

#include <stddef.h>
#include <sys/types.h>

/* Reads the whole file into `out`, which the caller must wipe. Returns the length, up to `max`.
 * Returns -1 with "PATH: …" in `error` if it is not a regular file, cannot be read, is longer, or
 * others have access to it. `out` may then hold a part of it. */
ssize_t secret_file_read(const char *path, char *out, size_t max, struct error *error);

/* The same for a file that may or may not hold a secret. `*shared` says whether others have access
 * to it. If it does hold a secret, the caller rejects it with secret_file_refuse. */
ssize_t secret_file_read_any(const char *path, char *out, size_t max, _Bool *shared,
                             struct error *error);

/* Writes to `error` that others have access to the file. Returns -1. */
int secret_file_refuse(const char *path, struct error *error);

#endif

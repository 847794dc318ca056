/* Files that hold secrets: only their owner and group may read or write them. Any thread. */
#ifndef TALLY_CORE_SECRET_FILE_H
#define TALLY_CORE_SECRET_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Reads the whole file into `out`, which the caller wipes. Returns its length, up to `max`; or -1
 * with "PATH: …" in `error` where it is no file, cannot be read, is longer, or others have a right
 * to it. `out` may then hold a part of it. */
ssize_t secret_file_read(const char *path, char *out, size_t max, char *error, size_t error_bytes);

/* The same of a file that may hold a secret or none: `*shared` says whether others have a right to
 * it, and the caller refuses it with secret_file_refuse where it does hold one. */
ssize_t secret_file_read_any(const char *path, char *out, size_t max, _Bool *shared, char *error,
                             size_t error_bytes);

/* Says in `error` that others have a right to the file. Returns -1. */
int secret_file_refuse(const char *path, char *error, size_t error_bytes);

#endif

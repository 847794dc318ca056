/* Checks of options that several programs of the bench share. Each returns 0, or -1
 * with one line in `error` that names the option and what it accepts. */
#ifndef TALLY_BENCH_CHECKED_H
#define TALLY_BENCH_CHECKED_H

#include "core/error.h"
#include "wire.h"

#include <stdint.h>

#define CHECKED_PASSWORD_MAX_BYTES 128

int checked_protocol(const char *protocol, enum wire_version *out, struct error *error);

/* The first line of the file that option password_file names. */
int checked_password(const char *path, char out[CHECKED_PASSWORD_MAX_BYTES + 1],
                     struct error *error);

/* Checks that this many connections may be open; raises the limit if possible. */
int checked_connections(uint64_t connections, struct error *error);

#endif

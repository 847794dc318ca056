/* Reactions on their way into Redis, one EVALSHA of the honest script each: written into one
 * buffer, sent as many at once as the socket takes, answers read as they come. Once it is open
 * nothing waits. Without a bound, as its user must lose nothing. One thread. */
#ifndef TALLY_BENCH_PEERS_PIPELINE_H
#define TALLY_BENCH_PEERS_PIPELINE_H

#include "core/error.h"

#include <stdbool.h>

struct pipeline;

/* Connects and loads the script out of a file. NULL, and a sentence in `error`, if it cannot. */
struct pipeline *pipeline_open(const char *host, int port, const char *script_file,
                               struct error *error);
void pipeline_free(struct pipeline *pipeline);

int pipeline_socket(const struct pipeline *pipeline);

/* Whether something is waiting to be sent. */
bool pipeline_waiting(const struct pipeline *pipeline);

/* Adds a reaction; sends nothing yet. -1 if there is no memory. */
int pipeline_add(struct pipeline *pipeline, const char *article, const char *reader,
                 const char *kind);

/* Sends what the socket takes. -1 where the connection broke. */
int pipeline_send(struct pipeline *pipeline, struct error *error);

/* Reads once from a socket that can be read. Returns how many answers came, or -1 where the
 * connection broke or an answer is an error. */
int pipeline_read(struct pipeline *pipeline, struct error *error);

#endif

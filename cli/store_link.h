/* Redis, or the nodes of a cluster, for a program that waits for each answer. It runs redis_nodes
 * on an event loop of its own, which turns only during these calls. One thread.
 *
 * A place (redis_nodes.h) without an owner, or on its way to another node, is waited for:
 * STORE_LINK_WAIT_MS at most. An error of such a place means that the command did nothing. */
#ifndef TALLY_CLI_STORE_LINK_H
#define TALLY_CLI_STORE_LINK_H

#include "core/error.h"
#include "daemon/links.h"
#include "redis/redis_nodes.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_LINK_WAIT_MS 5000
#define STORE_LINK_AGAIN_MS 50 /* between two tries */
#define STORE_LINK_SHA_BYTES 41
#define STORE_LINK_SCRIPTS_MAX 8

struct store_link;

/* `links` must have passed links_check and outlive the link; `password` NULL: none. NULL with a
 * sentence. */
struct store_link *store_link_new(const struct links *links, const char *password,
                                  struct error *error);
void store_link_free(struct store_link *link);

/* Why the last call failed. */
const char *store_link_error(const struct store_link *link);

/* The nodes, to look at: owners, generations, names. They change only during calls. */
struct redis_nodes *store_link_nodes(struct store_link *link);

/* The prefix of every key. */
const char *store_link_prefix(const struct store_link *link);

/* The name of a key in Redis, as redis_key. */
void store_link_key(const struct store_link *link, char key[REDIS_KEY_BYTES], unsigned place,
                    const char *name);

/* The first server of the options, as host:port or as a path. */
void store_link_seed(const struct store_link *link, char *out, size_t out_bytes);

/* Waits until the place has an owner. Returns 0, or -1 with a sentence that names the place and
 * why. */
int store_link_wait(struct store_link *link, unsigned place);

/* Runs the loop for this long. */
void store_link_nap(struct store_link *link, unsigned ms);

enum store_link_result {
    STORE_LINK_ANSWERED,
    STORE_LINK_AGAIN, /* it did nothing: the place has no owner now, or is moving, or its node
                         lacked the script and has it now */
    STORE_LINK_LOST,  /* no answer came: whether it was done is not known */
    STORE_LINK_FAILED /* any other error */
};

/* A pipeline over any places: as many pulls as pushes, in their order. Push returns 0, or -1 when
 * out of memory. The caller frees *reply (freeReplyObject), NULL unless STORE_LINK_ANSWERED. */
int store_link_push(struct store_link *link, unsigned place, int argc, const char **argv,
                    const size_t *bytes);
enum store_link_result store_link_pull(struct store_link *link, redisReply **reply);

/* One command that may be given twice: repeats it while the result is _AGAIN or _LOST. Never while
 * a push waits for its pull. The caller frees the answer; NULL: it failed. */
redisReply *store_link_ask(struct store_link *link, unsigned place, int argc, const char **argv,
                           const size_t *bytes);

/* The same for a node, whatever it owns; asked once. */
redisReply *store_link_ask_node(struct store_link *link, unsigned node, int argc, const char **argv,
                                const size_t *bytes);

/* Loads a script, which must stay valid, for use by EVALSHA at any place. `sha` receives its name.
 * A node that does not know it yet gets it when it says so. Returns 0 or -1. */
int store_link_load(struct store_link *link, const char *script, size_t script_bytes,
                    char sha[STORE_LINK_SHA_BYTES]);

#endif

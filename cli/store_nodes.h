/* Redis, or the nodes of a cluster, for a program that waits for each answer. It runs redis_nodes
 * on a private event loop, which runs only during these calls. One thread.
 *
 * A place (redis_nodes.h) without an owner, or on its way to another node, is waited for:
 * STORE_NODES_WAIT_MS at most, or STORE_NODES_MOVE_MS by store_nodes_ask where the slot is half
 * moved. An error of such a place means that the command did nothing. */
#ifndef TALLY_CLI_STORE_NODES_H
#define TALLY_CLI_STORE_NODES_H

#include "core/error.h"
#include "daemon/links.h"
#include "redis/redis_nodes.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_NODES_WAIT_MS 5000
#define STORE_NODES_MOVE_MS 60000 /* a slot with many votes takes its time */
#define STORE_NODES_AGAIN_MS 50   /* between two tries */
#define STORE_NODES_SHA_BYTES 41
#define STORE_NODES_SCRIPTS_MAX 8

struct store_nodes;

/* `links` must have passed links_check and outlive the nodes; `password` NULL: none. NULL with a
 * sentence. */
struct store_nodes *store_nodes_new(const struct links *links, const char *password,
                                    struct error *error);
void store_nodes_free(struct store_nodes *nodes);

/* Why the last call failed. */
const char *store_nodes_error(const struct store_nodes *nodes);

/* The nodes, to look at: owners, generations, names. They change only during calls. */
struct redis_nodes *store_nodes_redis(struct store_nodes *nodes);

/* The prefix of every key. */
const char *store_nodes_prefix(const struct store_nodes *nodes);

/* The name of a key in Redis, as redis_key. */
void store_nodes_key(const struct store_nodes *nodes, char key[REDIS_KEY_BYTES], unsigned place,
                     const char *name);

/* Waits until the place has an owner. Returns 0, or -1 with a sentence that names the place, or
 * the server where it is the only one, and why. */
int store_nodes_wait(struct store_nodes *nodes, unsigned place);

/* Runs the loop for this long. */
void store_nodes_nap(struct store_nodes *nodes, unsigned ms);

enum store_nodes_result {
    STORE_NODES_ANSWERED,
    STORE_NODES_AGAIN, /* it did nothing: no owner, moving, or the node has just got the script */
    STORE_NODES_LOST,  /* no answer came: it may have been done or not */
    STORE_NODES_FAILED /* any other error */
};

/* A pipeline over any places: as many pulls as pushes, in their order. Push returns 0, or -1 when
 * out of memory. The caller frees *reply (freeReplyObject), NULL unless STORE_NODES_ANSWERED. */
int store_nodes_push(struct store_nodes *nodes, unsigned place, int argc, const char **argv,
                     const size_t *bytes);
enum store_nodes_result store_nodes_pull(struct store_nodes *nodes, redisReply **reply);

/* Sends one command, which must be safe to repeat, until the result is neither _AGAIN nor _LOST.
 * Never while a push waits for its pull. The caller frees the answer; NULL: it failed. */
redisReply *store_nodes_ask(struct store_nodes *nodes, unsigned place, int argc, const char **argv,
                            const size_t *bytes);

/* The same for a node, whatever it owns, but without repeating. */
redisReply *store_nodes_ask_node(struct store_nodes *nodes, unsigned node, int argc,
                                 const char **argv, const size_t *bytes);

/* Loads a script, which must stay valid, for use by EVALSHA at any place. `sha` receives its name.
 * A node that does not know it yet gets it when it says so. Returns 0 or -1. */
int store_nodes_load(struct store_nodes *nodes, const char *script, size_t script_bytes,
                     char sha[STORE_NODES_SHA_BYTES]);

#endif

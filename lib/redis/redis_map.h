/* Which server owns which place, as an answer of one of them says. Pure; any thread.
 *
 * A place is a shard, or the store itself. Its keys have one slot of a cluster: CRC16 of what is in
 * braces in a key, or of a key without braces. All of a shard's keys have the shard's number in
 * braces. So the slot of a shard does not depend on the prefix of the keys; that of the store does.
 */
#ifndef TALLY_REDIS_REDIS_MAP_H
#define TALLY_REDIS_REDIS_MAP_H

#include "core/error.h"
#include "redis/redis_key.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_NODES_MAX 64 /* owners at a time */
#define REDIS_MAP_SLOTS 16384
#define REDIS_MAP_KNOWN_MAX 64
#define REDIS_HOST_BYTES 256

struct redis_address {
    char host[REDIS_HOST_BYTES]; /* a name, an address, or the path of a Unix socket */
    int port;
};

struct redis_map {
    unsigned n; /* owners */
    struct redis_address owner[REDIS_NODES_MAX];
    signed char of[REDIS_PLACES]; /* index of the place's owner; -1: nobody, or too many owners */
    unsigned n_known;             /* servers that were named, replicas too: more to ask */
    struct redis_address known[REDIS_MAP_KNOWN_MAX];
};

/* False: the host is empty or too long, or the port is not 0 to 65535. */
bool redis_map_address(struct redis_address *address, const char *host, long long port);

bool redis_map_same(const struct redis_address *a, const struct redis_address *b);

unsigned redis_map_slot(const char *key, size_t bytes);

/* The slot of each place, where every key begins with `prefix`, which has no brace. */
void redis_map_slots(unsigned slots[REDIS_PLACES], const char *prefix);

/* No places, no servers. */
void redis_map_none(struct redis_map *map);

/* Copies the contents of the map, not its spare capacity. */
void redis_map_copy(struct redis_map *to, const struct redis_map *from);

/* One server owns every place. */
void redis_map_fix(struct redis_map *map, const struct redis_address *owner);

/* Reads an answer to CLUSTER SLOTS, of Redis 3 to Valkey 9. A server that is named without a host
 * is at the host `asked`. Returns 0, or -1 with a sentence; the map is then undefined. */
int redis_map_read_slots(struct redis_map *map, const redisReply *reply,
                         const unsigned slots[REDIS_PLACES], const struct redis_address *asked,
                         struct error *error);

/* Reads a Sentinel's answer to SENTINEL GET-MASTER-ADDR-BY-NAME. As redis_map_read_slots. */
int redis_map_read_sentinel(struct redis_map *map, const redisReply *reply, struct error *error);

/* Whether the place has another owner in `b`. */
bool redis_map_differs(const struct redis_map *a, const struct redis_map *b, unsigned place);

/* --- which answer to believe --- */

/* How well a server that answers is placed to know. */
struct redis_view {
    bool sound;     /* it is with the majority, as far as it knows */
    bool has_epoch; /* it said so */
    uint64_t epoch; /* of the newest failover or move that it has heard of */
};

/* {0}: nothing believed yet. */
struct redis_belief {
    bool any;
    uint64_t epoch;
    uint64_t at_ms; /* when an answer was believed last */
};

#define REDIS_BELIEF_MS 5000

/* {.sound = true}, and what an answer to CLUSTER INFO, or to SENTINEL MASTER, says. An answer that
 * is neither (an error, such as a missing permission) says nothing. */
void redis_map_read_view(struct redis_view *view, const redisReply *reply);

/* Whether to believe an answer. Each failover and each move of a slot raises the epoch, and only a
 * majority can raise it. So an answer with a lower epoch than that of an earlier one is out of
 * date: a server that was cut off, or hung, still claims the slots that it had. A server that is
 * not sound is not believed either. Where nobody has been believed for REDIS_BELIEF_MS, anybody is:
 * a cluster may have been made again, and then its epochs begin again. Notes what it believes. */
bool redis_map_believe(struct redis_belief *belief, const struct redis_view *view, uint64_t now_ms);

#endif

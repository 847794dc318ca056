/* Asks every primary that has a shard or the store, then every shard. */
#include "check_nodes.h"

#include "server_info.h"

#include "daemon/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_MAX_MS 2000 /* DESIGN.md, decision 2 */
#define TEXT_BYTES 512
#define NAME_BYTES 300

struct check_nodes {
    struct store_view *store;
    struct store_nodes *nodes;
    const char *durability;
    void (*fn)(void *user, bool agrees, const char *what, const char *text);
    void *user;
    struct error *why;
};

/* One Redis needs no name. */
static const char *name_of(struct check_nodes *check, unsigned node, char out[NAME_BYTES])
{
    struct redis_nodes *nodes = store_nodes_redis(check->nodes);
    snprintf(out, NAME_BYTES, "%s",
             redis_nodes_cluster(nodes) ? redis_nodes_name(nodes, node) : "Redis");
    return out;
}

static redisReply *ask_node(struct check_nodes *check, unsigned node, const char *word,
                            const char *section)
{
    const char *argv[] = {word, section};
    const size_t bytes[] = {strlen(word), section != NULL ? strlen(section) : 0};
    redisReply *reply =
        store_nodes_ask_node(check->nodes, node, section != NULL ? 2 : 1, argv, bytes);
    if (reply == NULL)
        error_set(check->why, "%s", store_nodes_error(check->nodes));
    return reply;
}

static int no_such_answer(struct check_nodes *check, unsigned node, const char *what)
{
    char name[NAME_BYTES];
    return error_set(check->why, "redis: %s: %s: unexpected reply", name_of(check, node, name),
                     what);
}

/* --- of a node --- */

/* Redis read its clock at some point between the question and its answer, so the tolerance is half
 * of that time on either side, as the collector's is. */
static int check_clock(struct check_nodes *check, unsigned node)
{
    char text[TEXT_BYTES], name[NAME_BYTES];
    int64_t sent_ms = (int64_t)clock_unix_ms();
    redisReply *reply = ask_node(check, node, "TIME", NULL);
    int64_t half_ms = ((int64_t)clock_unix_ms() - sent_ms) / 2;
    if (reply == NULL)
        return -1;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || half_ms < 0) {
        freeReplyObject(reply);
        return no_such_answer(check, node, "TIME");
    }
    int64_t redis_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
                       strtoll(reply->element[1]->str, NULL, 10) / 1000;
    int64_t ahead_ms = sent_ms + half_ms - redis_ms;
    freeReplyObject(reply);
    snprintf(text, sizeof text, "this host is %lld ms %s %s; at most %d",
             llabs((long long)ahead_ms), ahead_ms < 0 ? "behind" : "ahead of",
             name_of(check, node, name), CLOCK_MAX_MS);
    check->fn(check->user, llabs(ahead_ms) - half_ms <= CLOCK_MAX_MS, "clock", text);
    return 0;
}

/* A section of INFO, to be freed; NULL after an error. */
static redisReply *ask_info(struct check_nodes *check, unsigned node, const char *section)
{
    redisReply *reply = ask_node(check, node, "INFO", section);
    if (reply != NULL && reply->type != REDIS_REPLY_STRING) {
        freeReplyObject(reply);
        reply = NULL;
        (void)no_such_answer(check, node, "INFO");
    }
    return reply;
}

static int check_durability(struct check_nodes *check, unsigned node)
{
    char text[TEXT_BYTES], name[NAME_BYTES];
    struct server_info_replication replication = {0};
    bool aof = false, noeviction = false;
    redisReply *persistence = ask_info(check, node, "persistence"),
               *memory = ask_info(check, node, "memory"),
               *replicated = ask_info(check, node, "replication");
    int rc = -1;
    if (persistence == NULL || memory == NULL || replicated == NULL)
        goto out;
    rc = server_info_replication(&replication, replicated->str);
    if (strcmp(check->durability, "service") != 0 && rc == 0 &&
        (server_info_aof(&aof, persistence->str) != 0 ||
         server_info_noeviction(&noeviction, memory->str) != 0))
        rc = -1;
    if (rc != 0) {
        (void)no_such_answer(check, node, "INFO");
        goto out;
    }
    bool service = strcmp(check->durability, "service") == 0,
         replicas = strcmp(check->durability, "replicas") == 0;
    (void)name_of(check, node, name);
    if (service)
        snprintf(text, sizeof text, "%s: the service's, with %" PRIu32 " replicas", name,
                 replication.replicas);
    else
        snprintf(text, sizeof text, "%s: AOF %s, %s, %" PRIu32 " replicas; %s needs %s", name,
                 aof ? "on" : "off", noeviction ? "noeviction" : "evicts", replication.replicas,
                 check->durability, replicas ? "noeviction, a replica" : "AOF on, noeviction");
    check->fn(check->user, service || (noeviction && (replicas ? replication.replicas > 0 : aof)),
              "durability", text);
out:
    freeReplyObject(persistence);
    freeReplyObject(memory);
    freeReplyObject(replicated);
    return rc;
}

/* --- of a shard --- */

enum named { NAMED, NOT_YET, DIFFERS };

/* Whether the shard names the store. Reports it if the shard names another one, or no longer names
 * any. Returns 0 or -1. */
static int check_shard(struct check_nodes *check, uint32_t shard, const char *store,
                       enum named *found)
{
    char key[REDIS_KEY_BYTES], text[TEXT_BYTES];
    store_nodes_key(check->nodes, key, shard, "meta");
    const char *argv[] = {"HGET", key, "store"};
    const size_t bytes[] = {4, strlen(key), 5};
    redisReply *reply = store_view_ask(check->store, shard, 3, argv, bytes);
    if (reply == NULL)
        return error_set(check->why, "%s", store_view_error(check->store));
    bool named = reply->type == REDIS_REPLY_STRING;
    bool agrees = named ? strcmp(reply->str, store) == 0 : !store_view_placed(check->store);
    if (named)
        snprintf(text, sizeof text, "shard %" PRIu32 " names store %.32s, not %s", shard,
                 reply->str, store);
    else
        snprintf(text, sizeof text,
                 "shard %" PRIu32 " names no store, and did: its data was lost, and its collectors "
                 "wait for --adopt",
                 shard);
    freeReplyObject(reply);
    if (!agrees)
        check->fn(check->user, false, "identity", text);
    *found = !agrees ? DIFFERS : named ? NAMED : NOT_YET;
    return 0;
}

static int check_shards(struct check_nodes *check)
{
    char store[17], text[TEXT_BYTES];
    const uint32_t shards = store_view_shards(check->store);
    uint32_t named = 0, differing = 0;
    snprintf(store, sizeof store, "%016" PRIx64, store_view_id(check->store));
    for (uint32_t shard = 0; shard < shards; shard++) {
        enum named found;
        if (check_shard(check, shard, store, &found) != 0)
            return -1;
        named += found == NAMED;
        differing += found == DIFFERS;
    }
    snprintf(text, sizeof text, "%" PRIu32 " of %" PRIu32 " shards name the store, %s", named,
             shards, named == shards ? "which is all" : "the others have counted nothing yet");
    if (differing == 0)
        check->fn(check->user, true, "identity", text);
    return 0;
}

int check_nodes_run(struct store_view *store, const char *durability,
                    void (*fn)(void *user, bool agrees, const char *what, const char *text),
                    void *user, struct error *why)
{
    struct check_nodes check = {store, store_view_nodes(store), durability, fn, user, why};
    struct redis_nodes *nodes = store_nodes_redis(check.nodes);
    if (store_view_wait(store) != 0)
        return error_set(why, "%s", store_view_error(store));
    for (unsigned node = 0; node < REDIS_NODES_MAX; node++)
        if (redis_nodes_up(nodes, node) &&
            (check_clock(&check, node) != 0 || check_durability(&check, node) != 0))
            return -1;
    return check_shards(&check);
}

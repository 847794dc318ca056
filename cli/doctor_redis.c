/* check_nodes and check_store ask what check-edge asks, too; the rest is asked of each node here.
 * CONFIG is not among the rights that Tally's user needs, so a refusal is not a fault. */
#include "doctor_redis.h"

#include "check_nodes.h"
#include "check_store.h"
#include "store_view.h"

#include "redis/redis_info.h"

#include <inttypes.h>
#include <string.h>

#define REDIS_MAJOR 7     /* sharded channels */
#define MEMORY_PERCENT 80 /* of what there is: more is a warning */
#define NAME_BYTES 300
#define MIB (1024 * 1024)

struct doctor_redis {
    struct doctor_report *report;
    struct store_view *store;
    struct store_nodes *nodes;
    const char *durability;
    unsigned node;
    const char *name; /* of that node */
};

/* --- judging --- */

void doctor_redis_version(struct doctor_report *report, const char *node,
                          const struct server_info_version *version)
{
    const char *product = version->valkey ? "Valkey" : "Redis";
    if (version->redis_major >= REDIS_MAJOR)
        doctor_report_add(report, DOCTOR_OK, "redis", "%s: %s %s", node, product, version->text);
    else
        doctor_report_add(report, DOCTOR_FAIL, "redis", "%s: %s %s: Tally needs %d.0", node,
                          product, version->text, REDIS_MAJOR);
}

void doctor_redis_memory(struct doctor_report *report, const char *node,
                         const struct server_info_memory *memory)
{
    const bool limited = memory->max_bytes > 0;
    const uint64_t of_bytes = limited ? memory->max_bytes : memory->machine_bytes;
    const char *what = limited ? "maxmemory" : "the machine's memory";
    const enum doctor_sign sign =
        limited && memory->used_bytes >= of_bytes                              ? DOCTOR_FAIL
        : of_bytes > 0 && memory->used_bytes / MEMORY_PERCENT > of_bytes / 100 ? DOCTOR_WARN
                                                                               : DOCTOR_OK;
    doctor_report_add(report, sign, "redis",
                      "%s: memory: %" PRIu64 " MiB used of %" PRIu64 " MiB, %s%s", node,
                      memory->used_bytes / MIB, of_bytes / MIB, what,
                      sign == DOCTOR_FAIL   ? ": it is full and takes no reactions: raise maxmemory"
                      : sign == DOCTOR_WARN ? ": make room before it is full"
                                            : "");
}

void doctor_redis_fsync(struct doctor_report *report, const char *node, const char *fsync,
                        const char *durability)
{
    const bool is_no = strcmp(fsync, "no") == 0, needs = strcmp(durability, "aof") == 0;
    doctor_report_add(report,
                      !is_no  ? DOCTOR_OK
                      : needs ? DOCTOR_FAIL
                              : DOCTOR_WARN,
                      "redis", "%s: appendfsync %.16s%s", node, fsync,
                      is_no ? ": a power cut loses up to 30 s of counts: set it to everysec" : "");
}

/* --- asking a node --- */

/* NULL: it failed; store_nodes_error has the reason. */
static redisReply *doctor_redis_ask(struct doctor_redis *redis, int argc, const char **argv)
{
    size_t bytes[3];
    for (int i = 0; i < argc; i++)
        bytes[i] = strlen(argv[i]);
    return store_nodes_ask_node(redis->nodes, redis->node, argc, argv, bytes);
}

static redisReply *ask_info(struct doctor_redis *redis, const char *section)
{
    redisReply *reply = doctor_redis_ask(redis, 2, (const char *[]){"INFO", section});
    if (reply != NULL && reply->type == REDIS_REPLY_STRING)
        return reply;
    doctor_report_unseen(redis->report, "redis", "INFO %s: %s", section,
                         reply == NULL ? store_nodes_error(redis->nodes) : "unexpected reply");
    freeReplyObject(reply);
    return NULL;
}

static void look_at_version(struct doctor_redis *redis)
{
    struct server_info_version version;
    redisReply *reply = ask_info(redis, "server");
    if (reply != NULL && server_info_version(&version, reply->str) == 0)
        doctor_redis_version(redis->report, redis->name, &version);
    freeReplyObject(reply);
}

static void look_at_memory(struct doctor_redis *redis)
{
    struct server_info_memory memory;
    redisReply *reply = ask_info(redis, "memory");
    if (reply != NULL && server_info_memory(&memory, reply->str) == 0)
        doctor_redis_memory(redis->report, redis->name, &memory);
    freeReplyObject(reply);
}

/* A server that refuses CONFIG answers; one that does not answer was not seen. */
static void look_at_fsync(struct doctor_redis *redis)
{
    redisReply *reply =
        doctor_redis_ask(redis, 3, (const char *[]){"CONFIG", "GET", "appendfsync"});
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[1]->type == REDIS_REPLY_STRING)
        doctor_redis_fsync(redis->report, redis->name, reply->element[1]->str, redis->durability);
    else if (reply == NULL && strstr(store_nodes_error(redis->nodes), ": no answer to ") != NULL)
        doctor_report_unseen(redis->report, "redis", "appendfsync: %s",
                             store_nodes_error(redis->nodes));
    else
        doctor_report_add(redis->report, DOCTOR_OK, "redis",
                          "%s: appendfsync: the user may not see it", redis->name);
    freeReplyObject(reply);
}

static void look_at_cluster(struct doctor_redis *redis)
{
    redisReply *reply = doctor_redis_ask(redis, 2, (const char *[]){"CLUSTER", "INFO"});
    if (reply == NULL || reply->type != REDIS_REPLY_STRING)
        doctor_report_unseen(redis->report, "redis", "CLUSTER INFO: %s",
                             reply == NULL ? store_nodes_error(redis->nodes) : "unexpected reply");
    else if (redis_info_is(reply->str, "cluster_state", "ok"))
        doctor_report_add(redis->report, DOCTOR_OK, "redis", "%s: cluster state ok", redis->name);
    else
        doctor_report_add(redis->report, DOCTOR_FAIL, "redis",
                          "%s: cluster state fail: slots without a node: see redis-cli --cluster "
                          "check %s",
                          redis->name, redis->name);
    freeReplyObject(reply);
}

static void look_at_nodes(struct doctor_redis *redis)
{
    struct redis_nodes *nodes = store_nodes_redis(redis->nodes);
    const bool service = strcmp(redis->durability, "service") == 0;
    for (redis->node = 0; redis->node < REDIS_NODES_MAX; redis->node++) {
        char name[NAME_BYTES];
        if (!redis_nodes_up(nodes, redis->node))
            continue;
        (void)snprintf(name, sizeof name, "%s", redis_nodes_name(nodes, redis->node));
        redis->name = name;
        look_at_version(redis);
        look_at_memory(redis);
        if (!service)
            look_at_fsync(redis);
        if (redis_nodes_cluster(nodes))
            look_at_cluster(redis);
    }
}

/* --- all of it --- */

static void on_finding(void *user, bool agrees, const char *what, const char *text)
{
    struct doctor_redis *redis = user;
    doctor_report_add(redis->report, agrees ? DOCTOR_OK : DOCTOR_FAIL, "redis", "%s: %s", what,
                      text);
}

static void look_at_store(const struct doctor_file *file, struct doctor_redis *redis)
{
    const struct broker_options *here = doctor_file_broker(file);
    struct error why;
    if (here != NULL && check_store_run(redis->store, here, on_finding, redis, &why) != 0)
        doctor_report_unseen(redis->report, "redis", "reader key: %s", why.text);
    if (check_nodes_run(redis->store, redis->durability, on_finding, redis, &why) != 0)
        doctor_report_add(redis->report, DOCTOR_FAIL, "redis", "%s", why.text);
}

void doctor_redis_check(const struct doctor_file *file, struct doctor_report *report)
{
    static struct links links; /* large */
    struct links_secrets secrets;
    struct error why;
    const char *durability = doctor_file_value(file, DOCTOR_COLLECTOR, "durability");
    if (doctor_file_links(file, &links) != 0)
        return;
    if (links_redis_load(&secrets, &links, &why) != 0) {
        doctor_report_unseen(report, "redis", "%s", why.text);
        return;
    }
    struct store_view *store =
        store_view_open(&links, secrets.redis[0] != '\0' ? secrets.redis : NULL, &why);
    links_wipe(&secrets);
    if (store == NULL) {
        doctor_report_add(report, DOCTOR_FAIL, "redis", "%s", why.text);
        return;
    }
    struct doctor_redis redis = {.report = report,
                                 .store = store,
                                 .nodes = store_view_nodes(store),
                                 .durability = durability != NULL ? durability : "aof"};
    look_at_store(file, &redis);
    look_at_nodes(&redis);
    store_view_free(store);
}

/* Looks at one server: INFO, SCRIPT LOAD, the accelerator, TIME. The last answer of a look decides.
 */
#include "node.h"

#include "register_call.h"

#include "daemon/clock.h"
#include "daemon/log.h"
#include "redis/redis_info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000
#define LOOK_DEEP 10 /* every n-th look includes the configuration */
#define LATE_MS 20
#define CLOCK_MAX_MS 2000
#define SHA_DIGITS 40
#define HISTORY_DIGITS 40
#define WHY_BYTES 200
#define MARKS 4 /* offsets that replicas have not reached; they acknowledge every second */

extern const unsigned char register_lua[];
extern const unsigned long register_lua_bytes;

struct node {
    struct node_config config;
    bool ready, full, unbounded;
    bool probed, accelerated; /* whether it has the accelerator was asked; it has */
    char script[SHA_DIGITS + 1];
    char why[WHY_BYTES];

    bool clock_known, clock_bad;
    int64_t skew_ms;

    unsigned replicas;
    char history[HISTORY_DIGITS + 1]; /* master_replid; "" not known */
    uint64_t moment;                  /* looks at the replication, sent */
    uint64_t replicated;
    struct {
        uint64_t moment, offset;
    } mark[MARKS];
    unsigned marks;

    /* The look under way. */
    bool looking, forgot;
    unsigned looks;
    uint64_t looked_ms, time_sent_ms;
    char trouble[WHY_BYTES];
};

/* --- answers --- */

static void node_trouble(struct node *node, const char *what, const char *detail)
{
    if (node->trouble[0] == '\0')
        snprintf(node->trouble, sizeof node->trouble, "%s%s", what, detail);
}

static const redisReply *node_good(struct node *node, const redisReply *reply, int type,
                                   const char *what)
{
    if (reply != NULL && reply->type == type)
        return reply;
    if (reply != NULL)
        node_trouble(node, what,
                     reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply");
    return NULL;
}

static void on_persistence(void *user, const redisReply *answer)
{
    struct node *node = user;
    const redisReply *reply = node_good(node, answer, REDIS_REPLY_STRING, "redis: INFO: ");
    if (reply != NULL && redis_info_is(reply->str, "aof_enabled", "0"))
        node_trouble(node,
                     "redis: appendonly is off, so it may forget (durability replicas or service "
                     "accepts that)",
                     "");
}

static void on_memory(void *user, const redisReply *reply)
{
    struct node *node = user;
    const bool accepts = node->config.durability == NODE_SERVICE;
    struct redis_info_memory memory;
    if (!accepts)
        reply = node_good(node, reply, REDIS_REPLY_STRING, "redis: INFO: ");
    if (reply == NULL || reply->type != REDIS_REPLY_STRING)
        return;
    redis_info_read_memory(reply->str, &memory);
    node->full = memory.full;
    if (memory.evicts && !accepts)
        node_trouble(node,
                     "redis: maxmemory-policy is not noeviction, so it may evict (durability "
                     "service accepts that)",
                     "");
}

/* Notes the primary's offset for the moment that was asked about, and the latest moment whose
 * offset a replica has reached. */
static void note_offset(struct node *node, const struct redis_info_replication *found)
{
    unsigned reached = 0;
    if (node->marks < MARKS) {
        node->mark[node->marks].moment = node->moment;
        node->mark[node->marks++].offset = found->offset;
    }
    while (found->replicas > 0 && reached < node->marks &&
           node->mark[reached].offset <= found->replica)
        node->replicated = node->mark[reached++].moment;
    node->marks -= reached;
    memmove(node->mark, node->mark + reached, node->marks * sizeof node->mark[0]);
}

/* All zeros. Redis keeps there under which ID a server that was promoted had replicated before, and
 * clears it where it changes master_replid for its own sake: as the first replica comes, or after
 * an hour without one (changeReplicationId and clearReplicationId2 in its replication.c). */
static bool was_not_promoted(const char *info)
{
    const char *former = redis_info_value(info, "master_replid2");
    return former != NULL && strspn(former, "0") == strcspn(former, "\r\n");
}

/* Whether the server has become a replica and a primary again since the last look: it then has
 * another master_replid. Its role need not have shown it, as the link asks for that once a second.
 */
static bool has_other_history(struct node *node, const char *info)
{
    const char *at = redis_info_value(info, "master_replid");
    char history[HISTORY_DIGITS + 1];
    if (at == NULL)
        return false;
    snprintf(history, sizeof history, "%.*s", (int)strcspn(at, "\r\n"), at);
    bool other = node->history[0] != '\0' && strcmp(node->history, history) != 0;
    memcpy(node->history, history, sizeof node->history);
    return other && !was_not_promoted(info);
}

static void on_replication(void *user, const redisReply *reply)
{
    struct node *node = user;
    struct redis_info_replication found;
    if (node->config.durability == NODE_REPLICAS)
        reply = node_good(node, reply, REDIS_REPLY_STRING, "redis: INFO: ");
    if (reply == NULL || reply->type != REDIS_REPLY_STRING)
        return;
    if (has_other_history(node, reply->str)) {
        redis_nodes_reset_node(node->config.nodes, node->config.number,
                               "its replication ID has changed: it may have lost writes");
        return;
    }
    redis_info_read_replication(reply->str, &found);
    node->replicas = found.replicas;
    note_offset(node, &found);
    node->unbounded = node->config.durability == NODE_AOF && found.replicas > 0 && !found.guarded;
}

static void on_loaded(void *user, const redisReply *answer)
{
    struct node *node = user;
    const redisReply *reply = node_good(node, answer, REDIS_REPLY_STRING, "redis: SCRIPT LOAD: ");
    if (reply != NULL)
        snprintf(node->script, sizeof node->script, "%s", reply->str);
}

/* How the accelerator replicates; an error where there is none, or where the user may not run it.
 */
static void on_accelerator(void *user, const redisReply *reply)
{
    struct node *node = user;
    if (reply == NULL)
        return;
    node->probed = true;
    node->accelerated = reply->type == REDIS_REPLY_STRING;
    if (node->accelerated)
        log_line(LOG_LEVEL_INFO,
                 strcmp(reply->str, "calls") == 0
                     ? "Redis has the accelerator: its replicas and append-only file need it, too"
                     : "Redis has the accelerator",
                 "node=%u replicates=%s", node->config.number, reply->str);
    else if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0)
        log_line(LOG_LEVEL_INFO, "the accelerator is not used", "node=%u error=%s",
                 node->config.number, reply->str);
}

/* Redis read its clock at some point between our request and its answer, so the tolerance is half
 * of that time on either side. */
static void compare_clock(struct node *node, const redisReply *reply)
{
    int64_t sent_ms = (int64_t)node->time_sent_ms;
    int64_t half_ms = ((int64_t)clock_unix_ms() - sent_ms) / 2;
    int64_t redis_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
                       strtoll(reply->element[1]->str, NULL, 10) / 1000;
    if (half_ms < 0)
        return; /* this machine's clock was set meanwhile */
    node->skew_ms = redis_ms - (sent_ms + half_ms);
    node->clock_bad = llabs(node->skew_ms) - half_ms > CLOCK_MAX_MS;
    node->clock_known = true;
}

static void begin_look(struct node *node, bool deep);

/* TIME, the last answer of a look. */
static void on_time(void *user, const redisReply *answer)
{
    struct node *node = user;
    if (answer == NULL)
        return;
    const redisReply *reply = node_good(node, answer, REDIS_REPLY_ARRAY, "redis: TIME: ");
    if (reply != NULL && reply->elements == 2)
        compare_clock(node, reply);
    node->looking = false;
    if (node->forgot) { /* the answers may be from before */
        begin_look(node, true);
        return;
    }
    if (node->script[0] == '\0')
        node_trouble(node, "redis: the script is not loaded", "");
    node->ready = node->trouble[0] == '\0';
    memcpy(node->why, node->trouble, sizeof node->why);
    node->config.on_looked(node->config.user);
}

/* --- a look --- */

/* A command of plain words. */
static void node_ask(struct node *node, redis_link_cb *fn, const char *a, const char *b,
                     const char *c, size_t c_bytes)
{
    const char *argv[] = {a, b, c};
    const size_t bytes[] = {strlen(a), b != NULL ? strlen(b) : 0, c_bytes};
    (void)redis_nodes_send_node(node->config.nodes, node->config.number, fn, node,
                                b == NULL   ? 1
                                : c == NULL ? 2
                                            : 3,
                                argv, bytes);
}

static void begin_look(struct node *node, bool deep)
{
    if (!redis_nodes_up(node->config.nodes, node->config.number))
        return;
    node->looking = true;
    node->forgot = false;
    node->looked_ms = clock_monotonic_ms();
    node->trouble[0] = '\0';
    if (deep && node->config.durability == NODE_AOF)
        node_ask(node, on_persistence, "INFO", "persistence", NULL, 0);
    node_ask(node, on_memory, "INFO", "memory", NULL, 0);
    node->moment++;
    node_ask(node, on_replication, "INFO", "replication", NULL, 0);
    if (deep)
        node_ask(node, on_loaded, "SCRIPT", "LOAD", (const char *)register_lua,
                 (size_t)register_lua_bytes);
    if (node->config.accelerates && !node->probed)
        node_ask(node, on_accelerator, REGISTER_CALL_ACCELERATOR, "how", NULL, 0);
    node->time_sent_ms = clock_unix_ms();
    node_ask(node, on_time, "TIME", NULL, NULL, 0);
}

void node_tick(struct node *node, uint64_t now_ms)
{
    if (node->looking || now_ms - node->looked_ms < LOOK_MS)
        return;
    begin_look(node, !node->ready || node->looks++ % LOOK_DEEP == 0);
}

void node_forgot(struct node *node)
{
    if (node == NULL)
        return;
    node->ready = false;
    node->script[0] = '\0';
    /* An accelerator that is lost, or that the user may not run, is asked for once it connects. */
    node->probed = node->accelerated;
    node->accelerated = false;
    if (node->looking)
        node->forgot = true;
    else
        begin_look(node, true);
}

/* --- making and ending, and what is known --- */

struct node *node_new(const struct node_config *config)
{
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->config = *config;
    begin_look(node, true);
    return node;
}

void node_free(struct node *node)
{
    free(node);
}

bool node_late(const struct node *node, uint64_t now_ms)
{
    return node->looking && now_ms - node->looked_ms >= LATE_MS;
}

bool node_ready(const struct node *node)
{
    return node->ready;
}

const char *node_why(const struct node *node)
{
    return node->why;
}

bool node_full(const struct node *node)
{
    return node->full;
}

const char *node_script(const struct node *node)
{
    return node != NULL ? node->script : "";
}

bool node_accelerated(const struct node *node)
{
    return node != NULL && node->accelerated;
}

bool node_clock(const struct node *node, int64_t *skew_ms, bool *bad)
{
    *skew_ms = node->skew_ms;
    *bad = node->clock_bad;
    return node->clock_known;
}

unsigned node_replicas(const struct node *node)
{
    return node->replicas;
}

bool node_unbounded(const struct node *node)
{
    return node->unbounded;
}

uint64_t node_moment(const struct node *node)
{
    return node != NULL ? node->moment + 1 : UINT64_MAX;
}

uint64_t node_replicated(const struct node *node)
{
    return node != NULL ? node->replicated : 0;
}

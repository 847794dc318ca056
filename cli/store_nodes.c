/* Blocking calls over redis_nodes. Each command under way has a slot on the heap, because its
 * answer may come after the caller has given up waiting for it. */
#include "store_nodes.h"

#include "daemon/clock.h"
#include "redis/redis_config.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 5000
#define SHA_DIGITS (STORE_NODES_SHA_BYTES - 1)
#define WHERE_BYTES (REDIS_URL_HOST_BYTES + 8)

struct slot {
    struct slot *next;
    unsigned place;
    int node; /* asked; -1 none */
    uint64_t serial;
    bool sent, done, abandoned;
    redisReply *reply; /* a copy; NULL none came */
};

struct script {
    const char *text;
    size_t bytes;
};

struct store_nodes {
    struct event_base *base;
    struct event *timer;
    struct redis_config config;
    struct redis_nodes *redis;
    struct slot *first, **last; /* pushed and not pulled */
    uint64_t serial;
    uint64_t loaded[REDIS_NODES_MAX]; /* the serial at which a node was sent all scripts */
    size_t scripts;
    struct script script[STORE_NODES_SCRIPTS_MAX];
    bool half_moved; /* the last answer pulled: its slot was moving to another node */
    struct error error;
};

/* --- the loop --- */

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    (void)user;
}

/* Lets something happen, until `limit_ms` at most. Returns whether there is time left. */
static bool store_nodes_turn(struct store_nodes *nodes, uint64_t limit_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms >= limit_ms)
        return false;
    uint64_t left_ms = limit_ms - now_ms;
    const struct timeval left = {.tv_sec = (time_t)(left_ms / 1000),
                                 .tv_usec = (suseconds_t)(left_ms % 1000) * 1000};
    (void)evtimer_add(nodes->timer, &left);
    (void)event_base_loop(nodes->base, EVLOOP_ONCE);
    (void)evtimer_del(nodes->timer);
    return true;
}

static void on_place(void *user, unsigned place, bool up)
{
    (void)user;
    (void)place;
    (void)up;
}

/* --- making --- */

struct store_nodes *store_nodes_new(const struct links *links, const char *password,
                                    struct error *error)
{
    struct store_nodes *nodes = calloc(1, sizeof *nodes);
    if (nodes == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    nodes->last = &nodes->first;
    if (redis_config_init(&nodes->config, links, password, error) != 0) {
        store_nodes_free(nodes);
        return NULL;
    }
    const struct redis_nodes_config config = {
        .link = nodes->config.link, .url = &nodes->config.url, .on_place = on_place, .user = nodes};
    nodes->base = event_base_new();
    if (nodes->base != NULL) {
        nodes->timer = evtimer_new(nodes->base, on_timer, nodes);
        nodes->redis = redis_nodes_new(nodes->base, &config);
    }
    if (nodes->timer == NULL || nodes->redis == NULL) {
        error_set(error, "no memory");
        store_nodes_free(nodes);
        return NULL;
    }
    return nodes;
}

static void slot_free(struct slot *slot)
{
    if (slot->reply != NULL)
        freeReplyObject(slot->reply);
    free(slot);
}

void store_nodes_free(struct store_nodes *nodes)
{
    if (nodes == NULL)
        return;
    redis_nodes_free(nodes->redis); /* calls back what is under way */
    for (struct slot *slot = nodes->first, *next; slot != NULL; slot = next) {
        next = slot->next;
        slot_free(slot);
    }
    if (nodes->timer != NULL)
        event_free(nodes->timer);
    if (nodes->base != NULL)
        event_base_free(nodes->base);
    redis_config_fini(&nodes->config);
    free(nodes);
}

const char *store_nodes_error(const struct store_nodes *nodes)
{
    return nodes->error.text;
}

struct redis_nodes *store_nodes_redis(struct store_nodes *nodes)
{
    return nodes->redis;
}

const char *store_nodes_prefix(const struct store_nodes *nodes)
{
    return nodes->config.link.prefix;
}

void store_nodes_key(const struct store_nodes *nodes, char key[REDIS_KEY_BYTES], unsigned place,
                     const char *name)
{
    redis_key(key, nodes->config.link.prefix, place, name);
}

/* --- waiting --- */

/* The first server of the options. */
static void write_seed(const struct store_nodes *nodes, char out[WHERE_BYTES])
{
    const struct redis_link_config *config = &nodes->config.link;
    if (config->host[0] == '/')
        snprintf(out, WHERE_BYTES, "%s", config->host);
    else
        snprintf(out, WHERE_BYTES, "%s:%d", config->host, config->port);
}

/* One Redis has every place, so it is the server that needs a name. */
static const char *where_of(const struct store_nodes *nodes, unsigned place, char out[WHERE_BYTES])
{
    if (!redis_nodes_cluster(nodes->redis))
        write_seed(nodes, out);
    else if (place == REDIS_PLACE_STORE)
        snprintf(out, WHERE_BYTES, "tally:store");
    else
        snprintf(out, WHERE_BYTES, "shard %u", place);
    return out;
}

static int fail_at(struct store_nodes *nodes, unsigned place, const char *what)
{
    char where[WHERE_BYTES];
    return error_set(&nodes->error, "redis: %s: %s", where_of(nodes, place, where), what);
}

static int wait_owner(struct store_nodes *nodes, unsigned place, uint64_t limit_ms)
{
    while (redis_nodes_owner(nodes->redis, place) < 0)
        if (!store_nodes_turn(nodes, limit_ms)) {
            const char *why = redis_nodes_why(nodes->redis, place);
            return fail_at(nodes, place, *why != '\0' ? why : "it has no owner");
        }
    return 0;
}

int store_nodes_wait(struct store_nodes *nodes, unsigned place)
{
    return wait_owner(nodes, place, clock_monotonic_ms() + STORE_NODES_WAIT_MS);
}

void store_nodes_nap(struct store_nodes *nodes, unsigned ms)
{
    const uint64_t limit_ms = clock_monotonic_ms() + ms;
    while (store_nodes_turn(nodes, limit_ms))
        continue;
}

/* --- answers --- */

static redisReply *copy_of(const redisReply *reply)
{
    redisReply *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    copy->type = reply->type;
    copy->integer = reply->integer;
    if (reply->str != NULL) {
        copy->str = malloc((size_t)reply->len + 1);
        if (copy->str == NULL)
            goto fail;
        copy->len = reply->len;
        memcpy(copy->str, reply->str, (size_t)reply->len);
        copy->str[reply->len] = '\0';
    }
    if (reply->elements > 0) {
        copy->element = calloc(reply->elements, sizeof(redisReply *));
        if (copy->element == NULL)
            goto fail;
        for (; copy->elements < reply->elements; copy->elements++) {
            copy->element[copy->elements] = copy_of(reply->element[copy->elements]);
            if (copy->element[copy->elements] == NULL)
                goto fail;
        }
    }
    return copy;
fail:
    freeReplyObject(copy);
    return NULL;
}

static void on_answer(void *user, const redisReply *reply)
{
    struct slot *slot = user;
    if (slot->abandoned) {
        free(slot);
        return;
    }
    slot->reply = reply != NULL ? copy_of(reply) : NULL;
    slot->done = true;
}

static struct slot *slot_new(struct store_nodes *nodes, unsigned place, int node)
{
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        (void)fail_at(nodes, place, "no memory");
        return NULL;
    }
    slot->place = place;
    slot->node = node;
    slot->serial = ++nodes->serial;
    return slot;
}

/* Waits for the slot's answer, and frees the slot. NULL: none came. */
static redisReply *answer_of(struct store_nodes *nodes, struct slot *slot)
{
    const uint64_t limit_ms = clock_monotonic_ms() + ANSWER_MS;
    while (!slot->done && store_nodes_turn(nodes, limit_ms))
        continue;
    redisReply *reply = slot->reply;
    if (slot->done)
        free(slot);
    else
        slot->abandoned = true; /* its answer frees it */
    return reply;
}

/* --- scripts --- */

static void send_scripts(struct store_nodes *nodes, unsigned place)
{
    for (size_t i = 0; i < nodes->scripts; i++) {
        const char *argv[] = {"SCRIPT", "LOAD", nodes->script[i].text};
        const size_t bytes[] = {6, 4, nodes->script[i].bytes};
        (void)redis_nodes_send(nodes->redis, place, NULL, NULL, 3, argv, bytes);
    }
}

/* Sends the place's node all scripts, unless that was done after the command without one. */
static void send_scripts_once(struct store_nodes *nodes, unsigned place, int node, uint64_t serial)
{
    int owner = redis_nodes_owner(nodes->redis, place);
    if (owner < 0 || (owner == node && nodes->loaded[owner] > serial))
        return;
    nodes->loaded[owner] = ++nodes->serial;
    send_scripts(nodes, place);
}

int store_nodes_load(struct store_nodes *nodes, const char *script, size_t script_bytes,
                     char sha[STORE_NODES_SHA_BYTES])
{
    const char *argv[] = {"SCRIPT", "LOAD", script};
    const size_t bytes[] = {6, 4, script_bytes};
    if (nodes->scripts == STORE_NODES_SCRIPTS_MAX)
        return error_set(&nodes->error, "more than %d scripts", STORE_NODES_SCRIPTS_MAX);
    redisReply *reply = store_nodes_ask(nodes, REDIS_PLACE_STORE, 3, argv, bytes);
    if (reply == NULL)
        return -1;
    if (reply->type != REDIS_REPLY_STRING || reply->len != SHA_DIGITS) {
        freeReplyObject(reply);
        return fail_at(nodes, REDIS_PLACE_STORE, "SCRIPT LOAD: unexpected reply");
    }
    memcpy(sha, reply->str, SHA_DIGITS + 1);
    freeReplyObject(reply);
    nodes->script[nodes->scripts++] = (struct script){script, script_bytes};
    return 0;
}

/* --- commands --- */

/* The command goes to the node, so that a former owner's error is still told: it says that nothing
 * was done. Callers that keep books across calls compare generations. */
int store_nodes_push(struct store_nodes *nodes, unsigned place, int argc, const char **argv,
                     const size_t *bytes)
{
    const int owner = redis_nodes_owner(nodes->redis, place);
    struct slot *slot = slot_new(nodes, place, owner);
    if (slot == NULL)
        return -1;
    slot->sent = owner >= 0 && redis_nodes_send_node(nodes->redis, (unsigned)owner, on_answer, slot,
                                                     argc, argv, bytes) == 0;
    slot->done = !slot->sent;
    *nodes->last = slot;
    nodes->last = &slot->next;
    return 0;
}

static bool begins_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Whether the error says that the node does not take commands (or writes) now. */
static bool error_passes(const char *error)
{
    return begins_with(error, "LOADING") || begins_with(error, "READONLY") ||
           begins_with(error, "MASTERDOWN") || begins_with(error, "NOREPLICAS");
}

static enum store_nodes_result judge_answer(struct store_nodes *nodes, unsigned place, int node,
                                            uint64_t serial, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return STORE_NODES_ANSWERED;
    (void)fail_at(nodes, place, reply->str);
    nodes->half_moved = begins_with(reply->str, "ASK ") || begins_with(reply->str, "TRYAGAIN");
    if (redis_nodes_moving(nodes->redis, reply->str) || error_passes(reply->str))
        return STORE_NODES_AGAIN;
    if (!begins_with(reply->str, "NOSCRIPT"))
        return STORE_NODES_FAILED;
    send_scripts_once(nodes, place, node, serial);
    return STORE_NODES_AGAIN;
}

enum store_nodes_result store_nodes_pull(struct store_nodes *nodes, redisReply **reply)
{
    struct slot *slot = nodes->first;
    const unsigned place = slot->place;
    const uint64_t serial = slot->serial;
    const int node = slot->node;
    const bool sent = slot->sent;
    nodes->first = slot->next;
    if (nodes->first == NULL)
        nodes->last = &nodes->first;
    nodes->half_moved = false;
    *reply = answer_of(nodes, slot);
    if (!sent) {
        const char *why = redis_nodes_why(nodes->redis, place);
        (void)fail_at(nodes, place, *why != '\0' ? why : "its owner was away for a moment");
        return STORE_NODES_AGAIN;
    }
    if (*reply == NULL) {
        (void)fail_at(nodes, place, "the connection ended before the answer");
        return STORE_NODES_LOST;
    }
    enum store_nodes_result result = judge_answer(nodes, place, node, serial, *reply);
    if (result != STORE_NODES_ANSWERED) {
        freeReplyObject(*reply);
        *reply = NULL;
    }
    return result;
}

redisReply *store_nodes_ask(struct store_nodes *nodes, unsigned place, int argc, const char **argv,
                            const size_t *bytes)
{
    const uint64_t begun_ms = clock_monotonic_ms();
    uint64_t limit_ms = begun_ms + STORE_NODES_WAIT_MS;
    redisReply *reply = NULL;
    for (;;) {
        if (wait_owner(nodes, place, limit_ms) != 0 ||
            store_nodes_push(nodes, place, argc, argv, bytes) != 0)
            return NULL;
        enum store_nodes_result result = store_nodes_pull(nodes, &reply);
        if (nodes->half_moved)
            limit_ms = begun_ms + STORE_NODES_MOVE_MS;
        if (result == STORE_NODES_ANSWERED || result == STORE_NODES_FAILED ||
            clock_monotonic_ms() >= limit_ms)
            return reply;
        store_nodes_nap(nodes, STORE_NODES_AGAIN_MS);
    }
}

redisReply *store_nodes_ask_node(struct store_nodes *nodes, unsigned node, int argc,
                                 const char **argv, const size_t *bytes)
{
    struct slot *slot = slot_new(nodes, REDIS_PLACE_STORE, (int)node);
    char name[256];
    if (slot == NULL)
        return NULL;
    snprintf(name, sizeof name, "%s", redis_nodes_name(nodes->redis, node));
    redisReply *reply = NULL;
    if (redis_nodes_send_node(nodes->redis, node, on_answer, slot, argc, argv, bytes) != 0)
        free(slot);
    else
        reply = answer_of(nodes, slot);
    if (reply == NULL) {
        (void)error_set(&nodes->error, "redis: %s: no answer to %s", name, argv[0]);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        (void)error_set(&nodes->error, "redis: %s: %s: %s", name, argv[0], reply->str);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

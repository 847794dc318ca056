/* Blocking calls over redis_nodes. Each command under way has a slot on the heap, because its
 * answer may come after the caller has given up waiting for it. */
#include "store_link.h"

#include "daemon/clock.h"
#include "redis/redis_config.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 5000
#define SHA_DIGITS (STORE_LINK_SHA_BYTES - 1)
#define WHERE_BYTES 24

struct slot {
    struct slot *next;
    struct store_link *link;
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

struct store_link {
    struct event_base *base;
    struct event *timer;
    struct redis_config config;
    struct redis_nodes *nodes;
    struct slot *first, **last; /* pushed and not pulled */
    uint64_t serial;
    uint64_t loaded[REDIS_NODES_MAX]; /* the serial at which a node was sent all scripts */
    size_t scripts;
    struct script script[STORE_LINK_SCRIPTS_MAX];
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
static bool turn(struct store_link *link, uint64_t limit_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms >= limit_ms)
        return false;
    uint64_t left_ms = limit_ms - now_ms;
    const struct timeval left = {.tv_sec = (time_t)(left_ms / 1000),
                                 .tv_usec = (suseconds_t)(left_ms % 1000) * 1000};
    (void)evtimer_add(link->timer, &left);
    (void)event_base_loop(link->base, EVLOOP_ONCE);
    (void)evtimer_del(link->timer);
    return true;
}

static void on_place(void *user, unsigned place, bool up)
{
    (void)user;
    (void)place;
    (void)up;
}

/* --- making --- */

struct store_link *store_link_new(const struct links *links, const char *password,
                                  struct error *error)
{
    struct store_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    link->last = &link->first;
    if (redis_config_init(&link->config, links, password, error) != 0) {
        store_link_free(link);
        return NULL;
    }
    const struct redis_nodes_config nodes = {
        .link = link->config.link, .on_place = on_place, .user = link};
    link->base = event_base_new();
    if (link->base != NULL) {
        link->timer = evtimer_new(link->base, on_timer, link);
        link->nodes = redis_nodes_new(link->base, &nodes);
    }
    if (link->timer == NULL || link->nodes == NULL) {
        error_set(error, "no memory");
        store_link_free(link);
        return NULL;
    }
    return link;
}

static void slot_free(struct slot *slot)
{
    if (slot->reply != NULL)
        freeReplyObject(slot->reply);
    free(slot);
}

void store_link_free(struct store_link *link)
{
    if (link == NULL)
        return;
    redis_nodes_free(link->nodes); /* calls back what is under way */
    for (struct slot *slot = link->first, *next; slot != NULL; slot = next) {
        next = slot->next;
        slot_free(slot);
    }
    if (link->timer != NULL)
        event_free(link->timer);
    if (link->base != NULL)
        event_base_free(link->base);
    redis_config_fini(&link->config);
    free(link);
}

const char *store_link_error(const struct store_link *link)
{
    return link->error.text;
}

struct redis_nodes *store_link_nodes(struct store_link *link)
{
    return link->nodes;
}

const char *store_link_prefix(const struct store_link *link)
{
    return link->config.link.prefix;
}

void store_link_key(const struct store_link *link, char key[REDIS_KEY_BYTES], unsigned place,
                    const char *name)
{
    redis_key(key, link->config.link.prefix, place, name);
}

void store_link_seed(const struct store_link *link, char *out, size_t out_bytes)
{
    const struct redis_link_config *config = &link->config.link;
    if (config->host[0] == '/')
        snprintf(out, out_bytes, "%s", config->host);
    else
        snprintf(out, out_bytes, "%s:%d", config->host, config->port);
}

/* --- waiting --- */

static const char *where_of(unsigned place, char out[WHERE_BYTES])
{
    if (place == REDIS_PLACE_STORE)
        snprintf(out, WHERE_BYTES, "tally:store");
    else
        snprintf(out, WHERE_BYTES, "shard %u", place);
    return out;
}

/* One Redis has every place, so the name of one says nothing. */
static int fail_at(struct store_link *link, unsigned place, const char *what)
{
    char where[WHERE_BYTES];
    if (redis_nodes_cluster(link->nodes))
        return error_set(&link->error, "redis: %s: %s", where_of(place, where), what);
    return error_set(&link->error, "redis: %s", what);
}

static int wait_owner(struct store_link *link, unsigned place, uint64_t limit_ms)
{
    while (redis_nodes_owner(link->nodes, place) < 0)
        if (!turn(link, limit_ms)) {
            const char *why = redis_nodes_why(link->nodes, place);
            return fail_at(link, place, *why != '\0' ? why : "it has no owner");
        }
    return 0;
}

int store_link_wait(struct store_link *link, unsigned place)
{
    return wait_owner(link, place, clock_monotonic_ms() + STORE_LINK_WAIT_MS);
}

void store_link_nap(struct store_link *link, unsigned ms)
{
    const uint64_t limit_ms = clock_monotonic_ms() + ms;
    while (turn(link, limit_ms))
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
        copy->element = calloc(reply->elements, sizeof *copy->element);
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

static struct slot *slot_new(struct store_link *link, unsigned place, int node)
{
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        (void)fail_at(link, place, "no memory");
        return NULL;
    }
    slot->link = link;
    slot->place = place;
    slot->node = node;
    slot->serial = ++link->serial;
    return slot;
}

/* Waits for the slot's answer, and frees the slot. NULL: none came. */
static redisReply *answer_of(struct store_link *link, struct slot *slot)
{
    const uint64_t limit_ms = clock_monotonic_ms() + ANSWER_MS;
    while (!slot->done && turn(link, limit_ms))
        continue;
    redisReply *reply = slot->reply;
    if (slot->done)
        free(slot);
    else
        slot->abandoned = true; /* its answer frees it */
    return reply;
}

/* --- scripts --- */

static void send_scripts(struct store_link *link, unsigned place)
{
    for (size_t i = 0; i < link->scripts; i++) {
        const char *argv[] = {"SCRIPT", "LOAD", link->script[i].text};
        const size_t bytes[] = {6, 4, link->script[i].bytes};
        (void)redis_nodes_send(link->nodes, place, NULL, NULL, 3, argv, bytes);
    }
}

/* Sends the place's node all scripts, unless that was done after the command without one. */
static void teach(struct store_link *link, unsigned place, int node, uint64_t serial)
{
    int owner = redis_nodes_owner(link->nodes, place);
    if (owner < 0 || (owner == node && link->loaded[owner] > serial))
        return;
    link->loaded[owner] = ++link->serial;
    send_scripts(link, place);
}

int store_link_load(struct store_link *link, const char *script, size_t script_bytes,
                    char sha[STORE_LINK_SHA_BYTES])
{
    const char *argv[] = {"SCRIPT", "LOAD", script};
    const size_t bytes[] = {6, 4, script_bytes};
    if (link->scripts == STORE_LINK_SCRIPTS_MAX)
        return error_set(&link->error, "more than %d scripts", STORE_LINK_SCRIPTS_MAX);
    redisReply *reply = store_link_ask(link, REDIS_PLACE_STORE, 3, argv, bytes);
    if (reply == NULL)
        return -1;
    if (reply->type != REDIS_REPLY_STRING || reply->len != SHA_DIGITS) {
        freeReplyObject(reply);
        return fail_at(link, REDIS_PLACE_STORE, "SCRIPT LOAD: no such answer");
    }
    memcpy(sha, reply->str, SHA_DIGITS + 1);
    freeReplyObject(reply);
    link->script[link->scripts++] = (struct script){script, script_bytes};
    return 0;
}

/* --- commands --- */

int store_link_push(struct store_link *link, unsigned place, int argc, const char **argv,
                    const size_t *bytes)
{
    struct slot *slot = slot_new(link, place, redis_nodes_owner(link->nodes, place));
    if (slot == NULL)
        return -1;
    slot->sent = redis_nodes_send(link->nodes, place, on_answer, slot, argc, argv, bytes) == 0;
    slot->done = !slot->sent;
    *link->last = slot;
    link->last = &slot->next;
    return 0;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Whether the error says that the node does not take commands (or writes) now. */
static bool passes(const char *error)
{
    return begins(error, "LOADING") || begins(error, "READONLY") || begins(error, "MASTERDOWN") ||
           begins(error, "NOREPLICAS");
}

static enum store_link_result judge(struct store_link *link, unsigned place, int node,
                                    uint64_t serial, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return STORE_LINK_ANSWERED;
    (void)fail_at(link, place, reply->str);
    if (redis_nodes_moving(link->nodes, reply->str) || passes(reply->str))
        return STORE_LINK_AGAIN;
    if (!begins(reply->str, "NOSCRIPT"))
        return STORE_LINK_FAILED;
    teach(link, place, node, serial);
    return STORE_LINK_AGAIN;
}

enum store_link_result store_link_pull(struct store_link *link, redisReply **reply)
{
    struct slot *slot = link->first;
    const unsigned place = slot->place;
    const uint64_t serial = slot->serial;
    const int node = slot->node;
    const bool sent = slot->sent;
    link->first = slot->next;
    if (link->first == NULL)
        link->last = &link->first;
    *reply = answer_of(link, slot);
    if (!sent) {
        const char *why = redis_nodes_why(link->nodes, place);
        (void)fail_at(link, place, *why != '\0' ? why : "its owner was away for a moment");
        return STORE_LINK_AGAIN;
    }
    if (*reply == NULL) {
        (void)fail_at(link, place, "the connection ended before the answer");
        return STORE_LINK_LOST;
    }
    enum store_link_result result = judge(link, place, node, serial, *reply);
    if (result != STORE_LINK_ANSWERED) {
        freeReplyObject(*reply);
        *reply = NULL;
    }
    return result;
}

redisReply *store_link_ask(struct store_link *link, unsigned place, int argc, const char **argv,
                           const size_t *bytes)
{
    const uint64_t limit_ms = clock_monotonic_ms() + STORE_LINK_WAIT_MS;
    redisReply *reply = NULL;
    for (;;) {
        if (wait_owner(link, place, limit_ms) != 0 ||
            store_link_push(link, place, argc, argv, bytes) != 0)
            return NULL;
        enum store_link_result result = store_link_pull(link, &reply);
        if (result == STORE_LINK_ANSWERED || result == STORE_LINK_FAILED ||
            clock_monotonic_ms() >= limit_ms)
            return reply;
        store_link_nap(link, STORE_LINK_AGAIN_MS);
    }
}

redisReply *store_link_ask_node(struct store_link *link, unsigned node, int argc, const char **argv,
                                const size_t *bytes)
{
    struct slot *slot = slot_new(link, REDIS_PLACE_STORE, (int)node);
    char name[256];
    if (slot == NULL)
        return NULL;
    snprintf(name, sizeof name, "%s", redis_nodes_name(link->nodes, node));
    redisReply *reply = NULL;
    if (redis_nodes_send_node(link->nodes, node, on_answer, slot, argc, argv, bytes) != 0)
        free(slot);
    else
        reply = answer_of(link, slot);
    if (reply == NULL) {
        (void)error_set(&link->error, "redis: %s: no answer to %s", name, argv[0]);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        (void)error_set(&link->error, "redis: %s: %s: %s", name, argv[0], reply->str);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

#include "wire.h"

#include "judge.h"
#include "redis.h"
#include "world.h"

#include "redis/redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 64
#define SLOT_TEXT 3072
#define PAUSE_US 100000u
#define SILENCE_US 2000000u

struct slot {
    redis_link_cb *fn; /* NULL: nobody waits for the reply */
    void *user;
    struct redis_words words;
    char text[SLOT_TEXT];
    struct redis_reply reply;
};

/* delivered ≤ executed ≤ sent */
struct queue {
    unsigned delivered, executed, sent;
    struct slot slot[SLOTS];
};

/* LOST: cut, and the process has not heard of it. DROPPED: by the process, which will hear of it.
 */
enum state { ABSENT, PAUSED, UP, LOST, DROPPED };

struct redis_link {
    struct redis_link_config config;
    struct event_base *process;
    enum state state;
    bool subscribed;
    bool hints[WORLD_SHARDS]; /* messages on the way */
    uint64_t retry_us;
    uint64_t heard_us; /* the last reply, or the first command on an idle connection */
    struct queue queue;
    struct queue left; /* of a process that was killed */
};

static struct redis_link links[WORLD_EDGES * WIRE_LINKS];

static struct slot *slot_at(struct queue *queue, unsigned i)
{
    return &queue->slot[i % SLOTS];
}

static void on_changed(unsigned shard)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++)
        if (links[i].state == UP && links[i].subscribed)
            links[i].hints[shard] = true;
}

static void empty(struct queue *queue)
{
    queue->delivered = queue->executed = queue->sent = 0;
}

void wire_begin(void)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++) {
        links[i].state = ABSENT;
        empty(&links[i].queue);
        empty(&links[i].left);
    }
    redis_on_changed = on_changed;
}

/* --- Redis's side --- */

static bool word_is(const struct slot *slot, const char *want)
{
    return slot->words.bytes[0] == strlen(want) &&
           memcmp(slot->words.word[0], want, slot->words.bytes[0]) == 0;
}

/* Runs the command at `executed`. */
static void execute_one(struct queue *queue)
{
    struct slot *slot = slot_at(queue, queue->executed);
    redis_run(&slot->words, &slot->reply);
    queue->executed++;
}

static unsigned execute(struct queue *queue, unsigned n)
{
    unsigned done = 0;
    while (redis.up && done < n && queue->executed < queue->sent) {
        execute_one(queue);
        done++;
    }
    return done;
}

unsigned wire_execute(unsigned link, unsigned n)
{
    return links[link].state == UP ? execute(&links[link].queue, n) : 0;
}

unsigned wire_execute_left(unsigned link, unsigned n)
{
    unsigned done = execute(&links[link].left, n);
    if (links[link].left.executed == links[link].left.sent)
        empty(&links[link].left);
    return done;
}

void wire_cut(unsigned link, unsigned n)
{
    if (links[link].state != UP)
        return;
    (void)wire_execute(link, n);
    links[link].state = LOST;
}

void wire_redis_dies(void)
{
    redis.up = false;
    redis.runs++;
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++) {
        if (links[i].state == UP)
            links[i].state = LOST;
        empty(&links[i].left);
    }
}

void wire_redis_exchanged(void)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++)
        empty(&links[i].left);
}

bool wire_idle(const struct event_base *process)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++)
        if (links[i].state != ABSENT && links[i].process == process &&
            links[i].queue.delivered < links[i].queue.sent)
            return false;
    return true;
}

/* --- the process's side --- */

static bool is_silent(const struct redis_link *link)
{
    return link->queue.delivered < link->queue.sent && world.us - link->heard_us > SILENCE_US;
}

static bool link_due(const struct redis_link *link)
{
    const struct queue *queue = &link->queue;
    switch (link->state) {
    case PAUSED:
        return redis.up && world.us >= link->retry_us;
    case LOST:
    case DROPPED:
        return true;
    case UP:
        if (is_silent(link))
            return true;
        for (unsigned s = 0; s < WORLD_SHARDS; s++)
            if (link->hints[s])
                return true;
        return queue->delivered < queue->executed;
    case ABSENT:
        break;
    }
    return false;
}

bool wire_due(const struct event_base *process)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++)
        if (links[i].state != ABSENT && links[i].process == process && link_due(&links[i]))
            return true;
    return false;
}

static void reply_one(struct redis_link *link)
{
    struct queue *queue = &link->queue;
    struct slot *slot = slot_at(queue, queue->delivered++);
    if (slot->fn == NULL)
        return;
    platform_point();
    link->heard_us = world.us;
    judge_reply(&slot->words, &slot->reply.node[0]);
    slot->fn(slot->user, &slot->reply.node[0]);
}

/* As hiredis: all that is under way is called back with nothing, then the link tells. */
static void lose(struct redis_link *link, const char *why)
{
    struct queue *queue = &link->queue;
    link->state = PAUSED;
    link->retry_us = world.us + PAUSE_US;
    link->subscribed = false;
    while (queue->delivered < queue->sent) {
        struct slot *slot = slot_at(queue, queue->delivered++);
        if (slot->fn != NULL) {
            judge_reply(&slot->words, NULL);
            slot->fn(slot->user, NULL);
        }
    }
    empty(queue);
    if (link->config.on_down != NULL)
        link->config.on_down(link->config.user, why);
}

static void deliver_hints(struct redis_link *link)
{
    char number[8];
    redisReply part[3] = {
        {.type = REDIS_REPLY_STRING}, {.type = REDIS_REPLY_STRING}, {.type = REDIS_REPLY_STRING}};
    redisReply *element[3] = {&part[0], &part[1], &part[2]};
    redisReply all = {.type = REDIS_REPLY_ARRAY, .elements = 3, .element = element};
    char message[] = "message", channel[] = "tally:changed";
    part[0].str = message;
    part[1].str = channel;
    part[2].str = number;
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        if (!link->hints[s])
            continue;
        link->hints[s] = false;
        snprintf(number, sizeof number, "%u", s);
        link->config.on_message(link->config.user, &all);
    }
}

static void deliver(struct redis_link *link, unsigned n)
{
    struct queue *queue = &link->queue;
    if (link->state == PAUSED && redis.up && world.us >= link->retry_us) {
        link->state = UP;
        memset(link->hints, 0, sizeof link->hints);
        link->config.on_up(link->config.user);
        return;
    }
    bool lost = link->state == LOST || link->state == DROPPED;
    for (unsigned i = 0; i < n && queue->delivered < queue->executed; i++)
        reply_one(link);
    if (link->state == UP && is_silent(link))
        link->state = DROPPED;
    if (link->state == UP && link->subscribed)
        deliver_hints(link);
    if (queue->delivered == queue->sent)
        empty(queue);
    if (lost || link->state == DROPPED)
        lose(link, "connection closed");
}

void wire_deliver(struct event_base *process, unsigned n)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++)
        if (links[i].state != ABSENT && links[i].process == process)
            deliver(&links[i], n);
}

void wire_killed(const struct event_base *process)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++) {
        struct redis_link *link = &links[i];
        if (link->state == ABSENT || link->process != process)
            continue;
        empty(&link->left);
        for (unsigned k = link->queue.executed; link->state == UP && k < link->queue.sent; k++) {
            struct slot *slot = slot_at(&link->queue, k);
            if (!word_is(slot, "EVALSHA") && !word_is(slot, "EVAL"))
                continue;
            struct slot *to = &link->left.slot[link->left.sent++];
            *to = *slot;
            for (int w = 0; w < to->words.n; w++)
                to->words.word[w] = to->text + (slot->words.word[w] - slot->text);
        }
        empty(&link->queue);
        link->state = ABSENT;
    }
}

/* --- redis_link.h --- */

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_config *config)
{
    unsigned first = base->edge * WIRE_LINKS + (base->kind == PLATFORM_FEED ? 1 : 0);
    struct redis_link *link = &links[first];
    if (link->state != ABSENT)
        link = &links[first + 1];
    link->config = *config;
    link->process = base;
    link->state = PAUSED;
    link->subscribed = false;
    link->retry_us = world.us;
    empty(&link->queue);
    return link;
}

void redis_link_free(struct redis_link *link)
{
    (void)link; /* processes end by being killed only */
}

bool redis_link_up(const struct redis_link *link)
{
    return link->state == UP || link->state == LOST;
}

unsigned redis_link_awaited(const struct redis_link *link)
{
    return link->queue.sent - link->queue.delivered;
}

uint64_t redis_link_timeouts(const struct redis_link *link)
{
    (void)link;
    return 0;
}

void redis_link_reset(struct redis_link *link, const char *why)
{
    (void)why;
    platform_point();
    if (link->state == UP || link->state == LOST)
        link->state = DROPPED;
}

const char *redis_link_why(const struct redis_link *link)
{
    return redis_link_up(link) ? "" : "not connected";
}

/* Secrets do not change here. */
int redis_link_set_password(struct redis_link *link, const char *password)
{
    (void)link;
    (void)password;
    return 0;
}

int redis_link_send(struct redis_link *link, redis_link_cb *fn, void *user, int argc,
                    const char **argv, const size_t *bytes)
{
    struct queue *queue = &link->queue;
    if (!redis_link_up(link))
        return -1;
    platform_point();
    if (link->config.on_message != NULL) { /* only ever SUBSCRIBE */
        link->subscribed = true;
        return 0;
    }
    if (queue->sent - queue->delivered >= SLOTS - 2)
        return -1;
    if (queue->sent == queue->delivered)
        link->heard_us = world.us;
    struct slot *slot = slot_at(queue, queue->sent);
    size_t used = 0;
    slot->fn = fn;
    slot->user = user;
    slot->words.n = argc;
    for (int i = 0; i < argc; i++) {
        if (i >= 40 || used + bytes[i] + 1 > SLOT_TEXT)
            abort();
        slot->words.word[i] = slot->text + used;
        slot->words.bytes[i] = bytes[i];
        memcpy(slot->text + used, argv[i], bytes[i]);
        slot->text[used + bytes[i]] = '\0';
        used += bytes[i] + 1;
    }
    queue->sent++;
    judge_sent(&slot->words);
    return 0;
}

/* Links as queues: sent, executed, delivered. */
#include "wire.h"

#include "cluster.h"
#include "judge.h"
#include "redis_command.h"
#include "register_call.h"
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
    struct slot *slot; /* SLOTS of them */
};

/* LOST: cut, and the process has not heard of it. DROPPED: by the process, which will hear of it.
 */
enum state { ABSENT, PAUSED, UP, LOST, DROPPED };

struct redis_link {
    struct redis_link_config config;
    struct event_base *process;
    enum state state;
    unsigned edge, server;
    unsigned run;                  /* of the server, when the connection was made */
    bool subscribed[WORLD_SHARDS]; /* to its changes … */
    bool hints[WORLD_SHARDS];      /* … of which messages are on the way */
    bool confirmed[WORLD_SHARDS];  /* … as is the confirmation */
    bool left_shard[WORLD_SHARDS]; /* … as is the news that the server has it no longer */
    uint64_t retry_us;
    uint64_t heard_us; /* the last reply, or the first command on an idle connection */
    struct queue queue;
    struct queue left; /* of a process that was killed */
};

static struct redis_link links[WORLD_EDGES * WIRE_LINKS];

/* Apart from the links, which are gone through all the time. */
static struct slot slots[WORLD_EDGES * WIRE_LINKS][2][SLOTS];

static unsigned first_of(const struct event_base *process)
{
    return process->edge * WIRE_LINKS + (process->kind == PLATFORM_FEED ? WIRE_COLLECTOR : 0);
}

/* Behind the last link that it ever had in this schedule: most have few. */
static unsigned used_end[WORLD_EDGES][PLATFORM_KINDS];

static unsigned end_of(const struct event_base *process)
{
    return used_end[process->edge][process->kind];
}

static unsigned limit_of(const struct event_base *process)
{
    return first_of(process) + (process->kind == PLATFORM_FEED ? WIRE_FEED : WIRE_COLLECTOR);
}

static struct slot *slot_at(struct queue *queue, unsigned i)
{
    return &queue->slot[i % SLOTS];
}

static void on_changed(unsigned server, unsigned shard)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++)
        if (links[i].state == UP && links[i].server == server && links[i].subscribed[shard])
            links[i].hints[shard] = true;
}

void wire_part_leaves(unsigned server, unsigned part)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS && part < WORLD_SHARDS; i++) {
        if (links[i].state != UP || links[i].server != server || !links[i].subscribed[part])
            continue;
        links[i].subscribed[part] = false;
        links[i].left_shard[part] = true;
    }
}

static void empty(struct queue *queue)
{
    queue->delivered = queue->executed = queue->sent = 0;
}

void wire_begin(void)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++) {
        links[i].state = ABSENT;
        links[i].queue.slot = slots[i][0];
        links[i].left.slot = slots[i][1];
        empty(&links[i].queue);
        empty(&links[i].left);
    }
    memset(used_end, 0, sizeof used_end);
    redis_on_changed = on_changed;
}

/* --- Redis's side --- */

unsigned wire_any(void)
{
    static const unsigned of_one[] = {0, WIRE_COLLECTOR, WIRE_COLLECTOR + 1};
    unsigned there[WORLD_EDGES * WIRE_LINKS], n = 0;
    if (!redis.cluster) { /* the collector's, the feed's, the feed's for hints */
        unsigned i = dice_below(&world.dice, world.edges * 3);
        return i / 3 * WIRE_LINKS + of_one[i % 3];
    }
    for (unsigned i = 0; i < world.edges * WIRE_LINKS; i++)
        if (links[i].state != ABSENT || links[i].left.sent > 0)
            there[n++] = i;
    return n > 0 ? there[dice_below(&world.dice, n)] : 0;
}

static bool word_is(const struct slot *slot, const char *want)
{
    return slot->words.bytes[0] == strlen(want) &&
           memcmp(slot->words.word[0], want, slot->words.bytes[0]) == 0;
}

/* Runs the command at `executed`. */
static void execute_one(unsigned server, struct queue *queue)
{
    struct slot *slot = slot_at(queue, queue->executed);
    redis_command(server, &slot->words, &slot->reply);
    queue->executed++;
}

static unsigned execute(const struct redis_link *link, struct queue *queue, unsigned n)
{
    unsigned done = 0;
    while (done < n && queue->executed < queue->sent && cluster_reached(link->edge, link->server)) {
        execute_one(link->server, queue);
        done++;
    }
    return done;
}

unsigned wire_execute(unsigned link, unsigned n)
{
    return links[link].state == UP ? execute(&links[link], &links[link].queue, n) : 0;
}

unsigned wire_execute_left(unsigned link, unsigned n)
{
    if (links[link].left.sent == 0)
        return 0;
    unsigned done = execute(&links[link], &links[link].left, n);
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

void wire_server_dies(unsigned server)
{
    for (unsigned i = 0; i < WORLD_EDGES * WIRE_LINKS; i++) {
        if (links[i].state == ABSENT || links[i].server != server)
            continue;
        if (links[i].state == UP && !redis.cut[links[i].edge][server])
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
    for (unsigned i = first_of(process); i < end_of(process); i++)
        if (links[i].state != ABSENT && links[i].queue.delivered < links[i].queue.sent)
            return false;
    return true;
}

/* --- the process's side --- */

static bool is_silent(const struct redis_link *link)
{
    return link->queue.delivered < link->queue.sent && world.us - link->heard_us > SILENCE_US;
}

/* ROLE, which the link asks for: a replica is left. */
static bool is_wrong(const struct redis_link *link)
{
    const struct redis_server *server = &redis.server[link->server];
    return cluster_reached(link->edge, link->server) &&
           ((!server->master && !link->config.any_role) || server->runs != link->run);
}

static bool may_connect(const struct redis_link *link)
{
    return cluster_reached(link->edge, link->server) && world.us >= link->retry_us &&
           (redis.server[link->server].master || link->config.any_role);
}

static bool link_due(const struct redis_link *link)
{
    const struct queue *queue = &link->queue;
    switch (link->state) {
    case PAUSED:
        return may_connect(link);
    case LOST:
    case DROPPED:
        return true;
    case UP:
        if (is_silent(link) || is_wrong(link))
            return true;
        for (unsigned s = 0; s < WORLD_SHARDS && !redis.cut[link->edge][link->server]; s++)
            if (link->hints[s] || link->left_shard[s] || link->confirmed[s])
                return true;
        return queue->delivered < queue->executed && !redis.cut[link->edge][link->server];
    case ABSENT:
        break;
    }
    return false;
}

bool wire_due(const struct event_base *process)
{
    for (unsigned i = first_of(process); i < end_of(process); i++)
        if (links[i].state != ABSENT && link_due(&links[i]))
            return true;
    return false;
}

/* Whether an answer says that another server has to be looked for. */
static bool ends_link(const redisReply *reply)
{
    static const char *const codes[] = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN"};
    for (size_t i = 0; reply->type == REDIS_REPLY_ERROR && i < sizeof codes / sizeof codes[0]; i++)
        if (strncmp(reply->str, codes[i], strlen(codes[i])) == 0)
            return true;
    return false;
}

static void reply_one(struct redis_link *link)
{
    struct queue *queue = &link->queue;
    struct slot *slot = slot_at(queue, queue->delivered++);
    const redisReply *reply = &slot->reply.node[0];
    if (slot->fn != NULL) {
        platform_point();
        link->heard_us = world.us;
        judge_answer_came((unsigned)(link - links), link->server, &slot->words, reply);
        slot->fn(slot->user, reply);
    }
    if (link->state == UP && ends_link(reply))
        link->state = DROPPED;
}

static void unanswered(struct redis_link *link)
{
    struct queue *queue = &link->queue;
    while (queue->delivered < queue->sent) {
        struct slot *slot = slot_at(queue, queue->delivered++);
        if (slot->fn != NULL) {
            judge_answer_came((unsigned)(link - links), link->server, &slot->words, NULL);
            slot->fn(slot->user, NULL);
        }
    }
    empty(queue);
}

/* All that is under way is called back with nothing, then the link tells. */
static void lose(struct redis_link *link, const char *why)
{
    link->state = PAUSED;
    link->retry_us = world.us + PAUSE_US;
    memset(link->subscribed, 0, sizeof link->subscribed);
    judge_answer_link_lost(link->process, link->server);
    unanswered(link);
    if (link->state == PAUSED && link->config.on_down != NULL)
        link->config.on_down(link->config.user, why);
}

static void deliver_message(struct redis_link *link, const char *what, unsigned shard)
{
    char number[8], words[16], channel[32];
    redisReply part[3] = {
        {.type = REDIS_REPLY_STRING}, {.type = REDIS_REPLY_STRING}, {.type = REDIS_REPLY_STRING}};
    redisReply *element[3] = {&part[0], &part[1], &part[2]};
    redisReply all = {.type = REDIS_REPLY_ARRAY, .elements = 3, .element = element};
    snprintf(words, sizeof words, "%s", what);
    snprintf(channel, sizeof channel, "tally:{%u}:changed", shard);
    snprintf(number, sizeof number, "%u", shard);
    part[0].str = words;
    part[1].str = channel;
    part[2].str = number;
    for (int i = 0; i < 3; i++)
        part[i].len = strlen(part[i].str);
    link->config.on_message(link->config.user, &all);
}

static void deliver_hints(struct redis_link *link)
{
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        bool hint = link->hints[s], left = link->left_shard[s], confirmed = link->confirmed[s];
        link->hints[s] = link->left_shard[s] = link->confirmed[s] = false;
        if (confirmed && link->state == UP)
            deliver_message(link, "ssubscribe", s);
        if (hint && link->state == UP)
            deliver_message(link, "smessage", s);
        if (left && link->state == UP)
            deliver_message(link, "sunsubscribe", s);
    }
}

static void deliver(struct redis_link *link, unsigned n)
{
    struct queue *queue = &link->queue;
    if (link->state == PAUSED && may_connect(link)) {
        link->state = UP;
        link->run = redis.server[link->server].runs;
        memset(link->hints, 0, sizeof link->hints);
        memset(link->left_shard, 0, sizeof link->left_shard);
        memset(link->confirmed, 0, sizeof link->confirmed);
        link->config.on_up(link->config.user);
        return;
    }
    bool lost = link->state == LOST || link->state == DROPPED;
    bool cut = redis.cut[link->edge][link->server];
    for (unsigned i = 0; i < n && queue->delivered < queue->executed && !cut; i++)
        reply_one(link);
    if (link->state == UP && (is_silent(link) || is_wrong(link)))
        link->state = DROPPED;
    if (link->state == UP && !cut)
        deliver_hints(link);
    if (link->state == ABSENT)
        return; /* its owner has ended it */
    if (queue->delivered == queue->sent)
        empty(queue);
    if (lost || link->state == DROPPED)
        lose(link, "connection closed");
}

void wire_deliver(struct event_base *process, unsigned n)
{
    for (unsigned i = first_of(process); i < end_of(process); i++)
        if (links[i].state != ABSENT)
            deliver(&links[i], n);
}

void wire_killed(const struct event_base *process)
{
    for (unsigned i = first_of(process); i < end_of(process); i++) {
        struct redis_link *link = &links[i];
        if (link->state == ABSENT)
            continue;
        empty(&link->left);
        for (unsigned k = link->queue.executed; link->state == UP && k < link->queue.sent; k++) {
            struct slot *slot = slot_at(&link->queue, k);
            if (!word_is(slot, "EVALSHA") && !word_is(slot, "EVAL") &&
                !word_is(slot, REGISTER_CALL_ACCELERATOR))
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
    unsigned at = first_of(base), limit = limit_of(base);
    while (at < limit && links[at].state != ABSENT)
        at++;
    if (at == limit)
        abort(); /* more links than servers */
    if (at >= end_of(base))
        used_end[base->edge][base->kind] = at + 1;
    struct redis_link *link = &links[at];
    link->config = *config;
    link->edge = base->edge;
    link->server = redis.cluster ? cluster_of_port(config->port) : 0;
    link->process = base;
    link->state = PAUSED;
    memset(link->subscribed, 0, sizeof link->subscribed);
    link->retry_us = world.us;
    empty(&link->queue);
    return link;
}

void redis_link_free(struct redis_link *link)
{
    if (link == NULL || link->state == ABSENT)
        return;
    link->state = ABSENT;
    judge_answer_link_lost(link->process, link->server);
    unanswered(link);
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

int redis_link_judge_role(const redisReply *reply, struct error *why)
{
    (void)reply;
    (void)why;
    return 1;
}

/* Secrets do not change here. */
int redis_link_set_password(struct redis_link *link, const char *password)
{
    (void)link;
    (void)password;
    return 0;
}

/* SUBSCRIBE tally:changed …; SSUBSCRIBE tally:{3}:changed …, which a server refuses that has it
 * not.
 */
static void subscribe(struct redis_link *link, int argc, const char **argv, const size_t *bytes)
{
    char words[CLUSTER_WORDS_BYTES];
    for (int i = 1; i < argc; i++) {
        int part = redis_part_of(argv[i], bytes[i]);
        if (part >= 0 && part < WORLD_SHARDS && strstr(argv[i], ":changed") != NULL &&
            cluster_refuse(link->server, part, words) == NULL)
            link->subscribed[part] = link->confirmed[part] = true;
    }
}

int redis_link_send(struct redis_link *link, redis_link_cb *fn, void *user, int argc,
                    const char **argv, const size_t *bytes)
{
    struct queue *queue = &link->queue;
    if (!redis_link_up(link))
        return -1;
    platform_point();
    if (link->config.on_message != NULL) {
        subscribe(link, argc, argv, bytes);
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
    judge_answer_sent(&slot->words);
    return 0;
}

/* The cluster around the servers' data. Writes that a former master still takes are its alone, and
 * gone once it has heard of its successor. */
#include "cluster.h"

#include "judge.h"
#include "wire.h"

#include <stdio.h>
#include <string.h>

#define SLOTS 16384
#define STORE_KEY "tally:store"

static const char *const hosts[REDIS_SERVERS] = {"10.0.0.1", "10.0.0.2", "10.0.0.3",
                                                 "10.0.0.4", "10.0.0.5", "10.0.0.6"};

const char *cluster_host(unsigned server)
{
    return hosts[server];
}

int cluster_port(unsigned server)
{
    return 7001 + (int)server;
}

unsigned cluster_of_port(int port)
{
    return port > 7000 && port <= 7000 + REDIS_SERVERS ? (unsigned)(port - 7001) : 0;
}

unsigned cluster_all(void)
{
    return redis.cluster ? REDIS_SERVERS : 1;
}

/* Its replica, or its master. */
static unsigned mate_of(unsigned server)
{
    return (server + REDIS_PAIRS) % REDIS_SERVERS;
}

static bool runs(unsigned server)
{
    return redis.server[server].up && !redis.server[server].hung;
}

static bool hears(unsigned server)
{
    return runs(server) && !redis.server[server].apart;
}

/* As all agree that hear of each other. */
static bool is_master(unsigned server)
{
    return redis.master[server % REDIS_PAIRS] == server;
}

bool cluster_reached(unsigned edge, unsigned server)
{
    return runs(server) && !redis.cut[edge][server];
}

/* --- the table --- */

/* CRC16 of a key's tag (XMODEM), as Redis Cluster's specification has it. */
static unsigned compute_slot(unsigned part)
{
    char tag[16] = STORE_KEY;
    unsigned crc = 0;
    if (part != REDIS_OF_STORE)
        snprintf(tag, sizeof tag, "%u", part);
    for (const char *at = tag; *at != '\0'; at++) {
        crc ^= (unsigned)(unsigned char)*at << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = ((crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc % SLOTS;
}

/* Each is asked for at every look of every program. */
static unsigned slot_of(unsigned part)
{
    static unsigned slot_plus_1[REDIS_PARTS];
    if (slot_plus_1[part] == 0)
        slot_plus_1[part] = compute_slot(part) + 1;
    return slot_plus_1[part] - 1;
}

const char *cluster_refuse(unsigned server, int part, char words[CLUSTER_WORDS_BYTES])
{
    const struct redis_server *its = &redis.server[server];
    if (!redis.cluster || part == -1)
        return NULL;
    if (part < 0)
        return "CROSSSLOT Keys in request don't hash to the same slot";
    if (its->stops)
        return "CLUSTERDOWN The cluster is down";
    if (its->master && its->owner[part] == server)
        return NULL;
    unsigned owner = its->owner[part];
    if (owner == server) /* it lost it to its replica */
        owner = mate_of(server);
    snprintf(words, CLUSTER_WORDS_BYTES, "MOVED %u %s:%d", slot_of((unsigned)part), hosts[owner],
             cluster_port(owner));
    return words;
}

static redisReply *answer_node(struct redis_reply *reply, unsigned server)
{
    char id[] = "0000000000000000000000000000000000000000";
    redisReply *node = redis_reply_array(reply, 3);
    id[sizeof id - 2] = (char)('0' + server);
    node->element[0] = redis_reply_words(reply, hosts[server]);
    node->element[1] = redis_reply_number(reply, cluster_port(server));
    node->element[2] = redis_reply_words(reply, id);
    return node;
}

/* A range up to each part's slot, and the last one up to the end. */
void cluster_answer_slots(struct redis_reply *reply)
{
    unsigned order[REDIS_PARTS], from = 0;
    if (!redis.cluster) {
        redis_reply_error(reply, "ERR This instance has cluster support disabled");
        return;
    }
    for (unsigned p = 0; p < REDIS_PARTS; p++) {
        unsigned i = p;
        for (; i > 0 && slot_of(order[i - 1]) > slot_of(p); i--)
            order[i] = order[i - 1];
        order[i] = p;
    }
    redisReply *all = redis_reply_array(reply, REDIS_PARTS);
    for (unsigned i = 0; i < REDIS_PARTS; i++) {
        unsigned owner = redis.here->owner[order[i]];
        unsigned to = i + 1 == REDIS_PARTS ? SLOTS - 1 : slot_of(order[i]);
        redisReply *range = redis_reply_array(reply, 4);
        range->element[0] = redis_reply_number(reply, from);
        range->element[1] = redis_reply_number(reply, to);
        range->element[2] = answer_node(reply, owner);
        range->element[3] = answer_node(reply, mate_of(owner));
        all->element[i] = range;
        from = to + 1;
    }
}

void cluster_answer_info(struct redis_reply *reply)
{
    static char text[96];
    static uint64_t epoch;
    static bool stops;
    if (!redis.cluster) {
        redis_reply_error(reply, "ERR This instance has cluster support disabled");
        return;
    }
    if (text[0] != '\0' && epoch == redis.here->epoch && stops == redis.here->stops) {
        redis_reply_words(reply, text);
        return;
    }
    epoch = redis.here->epoch;
    stops = redis.here->stops;
    snprintf(text, sizeof text, "cluster_state:%s\r\ncluster_current_epoch:%llu\r\n",
             redis.here->stops ? "fail" : "ok", (unsigned long long)redis.here->epoch);
    redis_reply_words(reply, text);
}

int cluster_owner_in(const redisReply *slots, unsigned part)
{
    unsigned slot = slot_of(part);
    for (size_t i = 0; slots->type == REDIS_REPLY_ARRAY && i < slots->elements; i++) {
        const redisReply *range = slots->element[i];
        if (slot >= range->element[0]->integer && slot <= range->element[1]->integer)
            return (int)cluster_of_port((int)range->element[2]->element[1]->integer);
    }
    return -1;
}

/* --- what happens --- */

void cluster_replicate(bool all)
{
    for (unsigned s = 0; s < cluster_all(); s++) {
        struct redis_server *server = &redis.server[s];
        unsigned behind = all ? 0 : dice_below(&world.dice, 4);
        if (server->alone || !hears(s) || server->commits < behind)
            continue;
        if (server->commits - behind > server->replicated)
            server->replicated = server->commits - behind;
    }
}

/* Its replica gets what it has, and from then on what it does. */
static void attach(struct redis_server *server)
{
    if (world.kinds_differ && server->alone)
        server->replicated = server->commits;
    server->alone = false;
}

/* The former master has heard of its successor: it takes its data from it. */
static void demote(unsigned server)
{
    struct redis_server *its = &redis.server[server], *master = &redis.server[mate_of(server)];
    its->master = its->stops = false;
    its->kept = 0;
    its->history = master->history;
    attach(master);
    world_tell("server %u is the replica of server %u now", server, mate_of(server));
}

static void learn(unsigned server)
{
    struct redis_server *its = &redis.server[server];
    its->epoch = redis.epoch;
    its->stops = false;
    memcpy(its->owner, redis.owner, sizeof its->owner);
    if (its->master && !is_master(server))
        demote(server);
}

void cluster_gossip(bool all)
{
    for (unsigned s = 0; s < cluster_all(); s++)
        if (hears(s) && redis.server[s].epoch != redis.epoch &&
            (all || dice_percent(&world.dice, 50)))
            learn(s);
}

/* Whether versions are ahead of every clock: if such a server is followed by one that has not got
 * its last commits, both give the same versions. */
static bool versions_run_ahead(void)
{
    for (unsigned s = 0; s < cluster_all(); s++)
        if (world_server_us(s) > redis.newest_version)
            return false;
    return true;
}

/* Whether tally:store was changed while no replica was there to wait for. */
static bool gave_kinds_alone(const struct redis_server *server)
{
    for (uint64_t i = server->replicated; i < server->commits && server->alone; i++)
        if (server->commit[i % REDIS_COMMITS].part == REDIS_OF_STORE)
            return true;
    return false;
}

void cluster_attach(unsigned server)
{
    attach(&redis.server[server]);
}

bool cluster_fail_over(unsigned part)
{
    unsigned from = redis.owner[part], to = mate_of(from), lost;
    struct redis_server *old = &redis.server[from], *new = &redis.server[to];
    if (!redis.cluster || !hears(to))
        return false;
    bool agreed = hears(from); /* the operator's, of a master that runs: nothing is lost */
    if (agreed || versions_run_ahead() || (world.kinds_differ && gave_kinds_alone(old)))
        old->replicated = old->commits;
    new->now = old->now;
    for (uint64_t i = old->commits; i-- > old->replicated;)
        redis_restore(&new->now, &old->commit[i % REDIS_COMMITS]);
    lost = (unsigned)(old->commits - old->replicated);
    new->commits = new->replicated = old->replicated;
    new->kept = 0;
    new->master = new->alone = true;
    new->history = ++redis.histories;
    redis.master[from % REDIS_PAIRS] = to;
    redis.epoch++;
    for (unsigned p = 0; p < REDIS_PARTS; p++) {
        if (redis.moves_to[p] == (int)from || redis.owner[p] == from)
            redis.moves_to[p] = -1;
        if (redis.owner[p] == from)
            redis.owner[p] = (uint8_t)to;
    }
    learn(to);
    if (world.kinds_differ) /* cut off, it does not notice that its replica is gone */
        old->alone = false;
    if (agreed)
        learn(from);
    redis.followed = redis.followed || !agreed;
    world_tell("server %u follows server %u as a master, without its last %u commits", to, from,
               lost);
    judge_failed_over(to, lost);
    return true;
}

static void arrive(unsigned part)
{
    unsigned from = redis.owner[part], to = (unsigned)redis.moves_to[part];
    struct redis_server *source = &redis.server[from], *target = &redis.server[to];
    if (part == REDIS_OF_STORE)
        target->now.store = source->now.store;
    else
        target->now.shard[part] = source->now.shard[part];
    for (unsigned i = 0; i < REDIS_COMMITS; i++) {
        /* Neither can go back behind the move: MIGRATE's copies are replicated first here. */
        if (source->commit[i].part == part)
            source->commit[i].part = REDIS_PARTS;
        if (target->commit[i].part == part)
            target->commit[i].part = REDIS_PARTS;
    }
    redis.owner[part] = (uint8_t)to;
    redis.moves_to[part] = -1;
    redis.epoch++;
    learn(from);
    learn(to);
    wire_part_leaves(from, part);
    world_tell("part %u has moved from server %u to server %u", part, from, to);
}

void cluster_move(unsigned part, bool at_once)
{
    unsigned from = redis.owner[part];
    if (!hears(from))
        return;
    if (redis.moves_to[part] < 0) {
        unsigned pair = (from + 1 + dice_below(&world.dice, REDIS_PAIRS - 1)) % REDIS_PAIRS;
        redis.moves_to[part] = redis.master[pair];
        if (part != REDIS_OF_STORE) {
            redis.moved_article[part] = (int)dice_below(&world.dice, world.articles);
            redis.moved_heads[part] = dice_percent(&world.dice, 40);
        }
        world_tell("part %u is on its way to server %d", part, redis.moves_to[part]);
        if (!at_once)
            return;
    }
    if (hears((unsigned)redis.moves_to[part]))
        arrive(part);
}

void cluster_mend(void)
{
    memset(redis.cut, 0, sizeof redis.cut);
    for (unsigned s = 0; s < cluster_all(); s++) {
        struct redis_server *server = &redis.server[s];
        if (!server->up)
            cluster_start(s);
        server->hung = server->apart = server->stops = false;
    }
    for (unsigned p = 0; p < REDIS_PARTS; p++)
        if (redis.moves_to[p] >= 0)
            cluster_move(p, true);
    cluster_gossip(true);
    for (unsigned s = 0; s < cluster_all(); s++)
        if (redis.cluster && is_master(s))
            attach(&redis.server[s]);
}

/* --- single servers --- */

void cluster_start(unsigned server)
{
    struct redis_server *its = &redis.server[server];
    its->up = true;
    its->hung = false;
    if (redis.cluster && !its->apart)
        learn(server);
}

void cluster_die(unsigned server)
{
    redis.server[server].up = redis.server[server].hung = false;
    redis_forget_scripts(&redis.server[server]);
    redis.server[server].runs++;
    wire_server_dies(server);
}

/* The steps of a schedule: what works, and what breaks things. */
#include "step.h"

#include "broker.h"
#include "cluster.h"
#include "files.h"
#include "judge.h"
#include "programs.h"
#include "reader.h"
#include "rest.h"
#include "wire.h"

#define HOUR_MS 3600000

static bool may_click;

void step_clicks(bool may)
{
    may_click = may;
}

static uint32_t below(uint32_t n)
{
    return dice_below(&world.dice, n);
}

static struct event_base *any_process(void)
{
    return &platform_process[below(world.edges)][below(PLATFORM_KINDS)];
}

static void pass(uint64_t ms)
{
    world.us += ms * 1000 + below(1000);
}

/* A few things that happen by themselves, in any order. */
static void work(void)
{
    pass(below(30));
    if (redis.cluster) {
        cluster_replicate(false);
        cluster_gossip(false);
    }
    for (unsigned i = 2 + below(6); i > 0; i--) {
        uint32_t which = below(10);
        if (which < 4)
            programs_turn(any_process(), 1 + below(4));
        else if (which < 7)
            wire_execute(wire_any(), 1 + below(8));
        else if (which < 9)
            broker_work(below(world.edges), (enum platform_kind)below(PLATFORM_KINDS),
                        1 + below(4));
        else
            wire_execute_left(wire_any(), 1 + below(2));
    }
}

/* While a collector naps, a message may reach its broker. */
void step_on_nap(struct event_base *process)
{
    if (!dice_percent(&world.dice, 15) || !broker[process->edge].up || !may_click)
        return;
    struct event_base *napping = platform_now;
    platform_now = NULL;
    if (!reader_network(false, false)) {
        reader_click(below(world.readers), below(world.articles), (int)below(world.requests),
                     process->edge);
        reader_network(false, false);
    }
    platform_now = napping;
}

static void click(void)
{
    pass(below(8));
    unsigned reader = below(world.readers), article = below(world.articles);
    reader_click(reader, article, (int)below(world.requests), below(world.edges));
    if (dice_percent(&world.dice, 70))
        reader_network(false, false);
}

static void start(void)
{
    unsigned edge = below(world.edges);
    if (below(3) == 0)
        broker_start(edge, dice_percent(&world.dice, 30) ? (int)below(8) : -1);
    else
        programs_start(any_process(), false);
}

static void tend(void)
{
    unsigned edge = below(world.edges);
    bool killed = dice_percent(&world.dice, 15);
    if (broker[edge].up && !files_tend(edge, killed ? (int)below(6) : -1))
        broker_kill(edge);
}

static void kill_process(enum platform_kind kind)
{
    struct event_base *process = &platform_process[below(world.edges)][kind];
    programs_kill(process, dice_percent(&world.dice, 70) ? 1 + (long)below(60) : 0);
}

static void kill_broker(void)
{
    if (dice_percent(&world.dice, 60) && reader_network(false, true))
        return;
    broker_kill(below(world.edges));
}

/* A broker is started with another ring_bytes: what its rings hold is drained.
 */
static void resize(void)
{
    world.ring_bytes = world.ring_bytes == 4096 ? 8192 : 4096;
    world_tell("rings are of %llu bytes from now on", (unsigned long long)world.ring_bytes);
    unsigned edge = below(world.edges);
    broker_kill(edge);
    broker_start(edge, -1);
}

/* Mostly one that has something. */
static unsigned any_server(void)
{
    if (!redis.cluster)
        return 0;
    return below(4) == 0 ? below(cluster_all()) : redis.owner[below(REDIS_PARTS)];
}

static void kill_redis(void)
{
    unsigned server = any_server();
    if (!redis.server[server].up)
        return;
    unsigned most = world_is_narrow(world.seed) ? 3 : REDIS_COMMITS;
    unsigned lost =
        dice_percent(&world.dice, 60) ? redis_lose(&redis.server[server], 1 + below(most)) : 0;
    cluster_die(server);
    if (dice_percent(&world.dice, 50))
        cluster_start(server);
    world_tell("server %u of Redis is killed and loses its last %u commits", server, lost);
    if (lost > 0)
        judge_lost(JUDGE_REDIS_WENT_BACK);
}

static void cut(void)
{
    if (dice_percent(&world.dice, 50)) {
        wire_cut(wire_any(), below(6));
    } else {
        broker_cut(any_process());
    }
}

static void set_clock(void)
{
    static const int64_t jumps_ms[] = {0, 0, 0, 500, -500, 3000, -3000, HOUR_MS, -HOUR_MS};
    int64_t to = jumps_ms[below(sizeof jumps_ms / sizeof jumps_ms[0])];
    uint32_t whose = below(world.edges + 1);
    unsigned server = any_server();
    /* Versions rise by its clock where Redis forgot what it had given: not both
     * at once. */
    if (whose == world.edges && (redis.went_back || redis.followed) &&
        to < world.server_ahead_ms[server])
        return;
    if (whose == world.edges)
        world.server_ahead_ms[server] = to;
    else
        world.edge_ahead_ms[whose] = to;
    world_tell("the clock of %s %u is %lld ms ahead", whose == world.edges ? "Redis" : "edge",
               whose, (long long)to);
}

static void lose_power(void)
{
    unsigned edge = below(world.edges);
    world_tell("edge %u loses power", edge);
    broker_kill(edge);
    for (int kind = 0; kind < PLATFORM_KINDS; kind++)
        programs_kill(&platform_process[edge][kind], 0);
    files_power_loss(edge);
    judge_lost(JUDGE_POWER);
}

static void change_shard(void)
{
    static const char *const errors[] = {
        "OOM command not allowed when used memory > 'maxmemory'.",
        "READONLY You can't write against a read only replica.",
        "CLUSTERDOWN Hash slot not served",
        "LOADING Redis is loading the dataset in memory",
    };
    unsigned shard = below(world.shards);
    redis.shard_error[shard] = redis.shard_error[shard] != NULL ? NULL : errors[below(4)];
    world_tell("shard %u answers %s", shard,
               redis.shard_error[shard] != NULL ? redis.shard_error[shard] : "again");
}

static void poison(void)
{
    unsigned article = below(world.articles), shard = world.article[article].shard;
    redis.poisoned[shard] = redis.poisoned[shard] >= 0 ? -1 : (int)article;
    redis.was_poisoned[shard] = true;
    world_tell("shard %u: article %d is poisoned", shard, redis.poisoned[shard]);
}

static void change_losses(void)
{
    reader_loses_percent = below(2) * below(50);
    broker_drops_percent = below(2) * (20 + below(60));
}

static void archive(void)
{
    unsigned article = below(world.articles);
    bool reset = below(2) == 0;
    if (!redis.server[redis.owner[world.article[article].shard]].up)
        return;
    world_tell("article %u is %s", article, reset ? "reset" : "archived");
    redis_archive(article, reset);
}

static void wipe(void)
{
    if (redis.cluster)
        return; /* its nodes come back empty one by one */
    /* At times in one step, so that connections stay: as a file that is loaded in
     * its place. */
    bool at_once = redis.server[0].up && below(2) == 0;
    if (below(2) == 0) /* the maker of the next store has a clock behind */
        world.server_ahead_ms[0] = REST_BEHIND_MS;
    world_tell("Redis is wiped%s", at_once ? " in one step" : "");
    if (at_once)
        wire_redis_exchanged();
    else
        cluster_die(0);
    redis_wipe(&redis.server[0], at_once);
    judge_wiped();
    judge_lost(JUDGE_WIPED);
}

/* Not while a batch is under way: its records are read in place, and pages do
 * not change under a program's eyes. */
static void damage(void)
{
    unsigned edge = below(world.edges);
    if (!wire_idle(&platform_process[edge][PLATFORM_COLLECTOR]) || !files_damage(edge))
        return;
    world_tell("a ring is damaged");
    judge_lost(JUDGE_DAMAGE);
}

static void freeze(void)
{
    struct event_base *process = any_process();
    process->frozen = process->alive && !process->frozen;
}

/* Mostly of a master that is away or does nothing. */
static void fail_over(void)
{
    for (unsigned part = 0; part < REDIS_PARTS; part++) {
        const struct redis_server *owner = &redis.server[redis.owner[part]];
        if ((!owner->up || owner->hung || owner->apart) && cluster_fail_over(part))
            return;
    }
    if (below(2) == 0)
        cluster_fail_over(below(REDIS_PARTS));
}

static void hang(void)
{
    unsigned server = any_server();
    struct redis_server *its = &redis.server[server];
    its->hung = its->up && !its->hung;
    world_tell("server %u %s", server, its->hung ? "hangs" : "continues");
}

/* With a minority, which some edges reach and others do not: it serves for a
 * while yet. */
static void set_apart(void)
{
    unsigned server = any_server(), other = any_server();
    struct redis_server *its = &redis.server[server];
    if (its->apart && !its->stops && below(2) == 0) {
        its->stops = true;
        world_tell("server %u stops, as it hears of nobody", server);
        return;
    }
    its->apart = !its->apart;
    its->stops = its->stops && its->apart;
    for (unsigned e = 0; e < world.edges; e++)
        redis.cut[e][server] = its->apart && below(2) == 0;
    if (its->apart && below(3) == 0) { /* which believes what it knew */
        redis.server[other].apart = true;
        world_tell("server %u is apart, too", other);
    }
    world_tell("server %u %s", server, its->apart ? "is apart" : "hears of the others again");
}

static void cut_off(void)
{
    unsigned edge = below(world.edges), server = any_server();
    redis.cut[edge][server] = !redis.cut[edge][server];
    world_tell("edge %u %s server %u", edge, redis.cut[edge][server] ? "does not reach" : "reaches",
               server);
}

static void make_stale(void)
{
    unsigned server = any_server();
    struct redis_server *its = &redis.server[server];
    if (its->alone)
        cluster_attach(server);
    else
        its->alone = true;
    world_tell("the replica of server %u %s", server, its->alone ? "gets nothing" : "continues");
}

/* A master comes back without anything, and so does its replica. */
static void come_back_empty(void)
{
    unsigned server = redis.owner[below(REDIS_PARTS)];
    uint64_t placed = redis.owner[REDIS_OF_STORE] != server ? redis_store()->placed : 0;
    cluster_die(server);
    for (unsigned s = 0; s < world.shards; s++)
        if ((placed >> s & 1) && redis.owner[s] == server &&
            redis.server[server].now.shard[s].store != 0)
            redis.emptied[s] = true;
    redis_wipe(&redis.server[server], false);
    world_tell("server %u comes back empty", server);
    judge_wiped();
    judge_lost(JUDGE_WIPED);
    cluster_start(server);
}

/* An edge's broker is started with one more kind in its settings. */
static void learn_kind(unsigned edge)
{
    if (!world_learn_kind(edge))
        return;
    const struct kind_table *known = &world.edge[edge].kinds;
    world_tell("edge %u knows the kind %s, too", edge, known->name[known->n]);
    broker_kill(edge);
    broker_start(edge, -1);
}

void step_do(enum step what, uint64_t dice)
{
    world.dice.state = dice;
    switch (what) {
    case STEP_WORK:
        work();
        break;
    case STEP_CLICK:
        click();
        break;
    case STEP_REPEAT:
        reader_repeat(below(world.readers), below(world.articles), below(world.edges),
                      dice_percent(&world.dice, 10));
        break;
    case STEP_NETWORK:
        reader_network(false, false);
        break;
    case STEP_WAIT:
        pass(50 + below(3000));
        break;
    case STEP_START:
        start();
        break;
    case STEP_WRITE_BACK:
        files_write_back(below(world.edges));
        break;
    case STEP_TEND:
        tend();
        break;
    case STEP_KILL_COLLECTOR:
        kill_process(PLATFORM_COLLECTOR);
        break;
    case STEP_KILL_FEED:
        kill_process(PLATFORM_FEED);
        break;
    case STEP_KILL_BROKER:
        kill_broker();
        break;
    case STEP_RESIZE:
        resize();
        break;
    case STEP_KILL_REDIS:
        kill_redis();
        break;
    case STEP_REDIS_UP:
        cluster_start(any_server());
        break;
    case STEP_CUT:
        cut();
        break;
    case STEP_FREEZE:
        freeze();
        break;
    case STEP_CLOCK:
        set_clock();
        break;
    case STEP_POWER:
        lose_power();
        break;
    case STEP_DAMAGE:
        damage();
        break;
    case STEP_SHARD_AWAY:
        change_shard();
        break;
    case STEP_POISON:
        poison();
        break;
    case STEP_FORGET_SCRIPT:
        redis_forget_scripts(&redis.server[any_server()]);
        break;
    case STEP_LOSSES:
        change_losses();
        break;
    case STEP_SUBSCRIBER:
        broker_subscribe(below(world.edges), below(2) == 0);
        break;
    case STEP_ARCHIVE:
        archive();
        break;
    case STEP_WIPE:
        wipe();
        break;
    case STEP_FAIL_OVER:
        fail_over();
        break;
    case STEP_HANG:
        hang();
        break;
    case STEP_APART:
        set_apart();
        break;
    case STEP_CUT_OFF:
        cut_off();
        break;
    case STEP_STALE:
        make_stale();
        break;
    case STEP_MOVE:
        cluster_move(below(REDIS_PARTS), below(3) == 0);
        break;
    case STEP_EMPTY:
        come_back_empty();
        break;
    case STEP_KINDS:
        learn_kind(below(world.edges));
        break;
    case WHATS:
        break;
    }
}

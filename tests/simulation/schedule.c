#include "schedule.h"

#include "broker.h"
#include "cluster.h"
#include "dice.h"
#include "files.h"
#include "judge.h"
#include "programs.h"
#include "reader.h"
#include "redis.h"
#include "wire.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

#define BEHIND_MS (-1500) /* that a collector is ready with */
#define HOUR_MS 3600000
#define REST_TURNS 240
#define LINGER_TURNS 9 /* of a second each */

enum what {
    WORK,
    CLICK,
    REPEAT,
    NETWORK,
    WAIT,
    START,
    WRITE_BACK,
    TEND,
    /* what breaks things: each schedule has only some of these */
    KILL_COLLECTOR,
    KILL_FEED,
    KILL_BROKER,
    RESIZE,
    KILL_REDIS,
    REDIS_UP,
    CUT,
    FREEZE,
    CLOCK,
    POWER,
    DAMAGE,
    SHARD_AWAY,
    POISON,
    FORGET_SCRIPT,
    LOSSES,
    SUBSCRIBER,
    ARCHIVE,
    WIPE,
    /* in a cluster only */
    FAIL_OVER,
    HANG,
    APART,
    CUT_OFF,
    STALE,
    MOVE,
    EMPTY,
    KINDS,
    WHATS
};

static const struct {
    const char *name;
    uint8_t weight, percent; /* how often; in how many schedules of 100 */
} kinds[WHATS] = {
    [WORK] = {"work", 60, 100},
    [CLICK] = {"click", 26, 100},
    [REPEAT] = {"repeat", 8, 100},
    [NETWORK] = {"network", 30, 100},
    [WAIT] = {"wait", 8, 100},
    [START] = {"start", 8, 100},
    [WRITE_BACK] = {"write back", 3, 50},
    [TEND] = {"tend", 4, 100},
    [KILL_COLLECTOR] = {"kill collector", 5, 50},
    [KILL_FEED] = {"kill feed", 3, 40},
    [KILL_BROKER] = {"kill broker", 4, 40},
    [RESIZE] = {"resize", 3, 30},
    [KILL_REDIS] = {"kill Redis", 5, 55},
    [REDIS_UP] = {"Redis up", 6, 100},
    [CUT] = {"cut", 4, 40},
    [FREEZE] = {"freeze", 3, 25},
    [CLOCK] = {"clock", 3, 25},
    [POWER] = {"power", 2, 20},
    [DAMAGE] = {"damage", 2, 15},
    [SHARD_AWAY] = {"shard away", 4, 30},
    [POISON] = {"poison", 4, 20},
    [FORGET_SCRIPT] = {"forget script", 3, 20},
    [LOSSES] = {"losses", 4, 50},
    [SUBSCRIBER] = {"subscriber", 4, 40},
    [ARCHIVE] = {"archive", 4, 25},
    [WIPE] = {"wipe", 1, 8},
    [FAIL_OVER] = {"fail over", 7, 70},
    [HANG] = {"hang", 4, 35},
    [APART] = {"apart", 4, 35},
    [CUT_OFF] = {"cut off", 4, 35},
    [STALE] = {"stale", 4, 50},
    [MOVE] = {"move", 5, 40},
    [EMPTY] = {"empty", 1, 8},
    [KINDS] = {"kinds", 5, 100},
};

uint64_t schedule_steps_run;
static bool comes_to_rest; /* it begins or ends: nobody clicks */

/* --- drawing --- */

void schedule_draw(struct schedule *schedule, uint64_t seed)
{
    struct dice dice = {seed * 0x9e3779b97f4a7c15ull ^ 0x7461666c6c79ull};
    uint32_t weight[WHATS], all = 0;
    /* In a narrow world little happens but that Redis goes back. */
    bool narrow = world_is_narrow(seed);
    for (int i = 0; i < WHATS; i++) {
        uint32_t percent = kinds[i].percent;
        if ((i >= FAIL_OVER && !world_is_cluster(seed)) ||
            (i == KINDS && !world_kinds_differ(seed))) {
            weight[i] = 0;
            continue;
        }
        if (narrow && percent < 100)
            percent = i == KILL_REDIS ? 100 : percent / 3;
        weight[i] = dice_percent(&dice, percent) ? kinds[i].weight : 0;
        if (narrow && (i == KILL_REDIS || i == WORK))
            weight[i] *= 2;
        all += weight[i];
    }
    schedule->seed = seed;
    schedule->n = 40 + dice_below(&dice, SCHEDULE_STEPS_MAX - 40);
    for (unsigned s = 0; s < schedule->n; s++) {
        uint32_t at = dice_below(&dice, all);
        uint8_t what = 0;
        while (at >= weight[what])
            at -= weight[what++];
        schedule->step[s] = (struct schedule_step){what, dice_roll(&dice)};
    }
}

/* --- what a step does --- */

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
static void on_nap(struct event_base *process)
{
    if (!dice_percent(&world.dice, 15) || !broker[process->edge].up || comes_to_rest)
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

/* A broker is started with another ring_bytes: what its rings hold is drained. */
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
    /* Versions rise by its clock where Redis forgot what it had given: not both at once. */
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
    /* At times in one step, so that connections stay: as a file that is loaded in its place. */
    bool at_once = redis.server[0].up && below(2) == 0;
    if (below(2) == 0) /* whoever makes the next store has a clock behind */
        world.server_ahead_ms[0] = BEHIND_MS;
    world_tell("Redis is wiped%s", at_once ? " in one step" : "");
    if (at_once)
        wire_redis_exchanged();
    else
        cluster_die(0);
    redis_wipe(&redis.server[0], at_once);
    judge_wiped();
    judge_lost(JUDGE_WIPED);
}

/* Not while a batch is under way: its records are read in place, and pages do not change under a
 * program's eyes. */
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
    world_tell("server %u %s", server, its->hung ? "hangs" : "goes on");
}

/* With a minority, which some edges reach and others do not: it serves for a while yet. */
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
    world_tell("the replica of server %u %s", server, its->alone ? "gets nothing" : "goes on");
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

static void do_step(const struct schedule_step *step)
{
    world.dice.state = step->dice;
    switch ((enum what)step->what) {
    case WORK:
        work();
        break;
    case CLICK:
        click();
        break;
    case REPEAT:
        reader_repeat(below(world.readers), below(world.articles), below(world.edges),
                      dice_percent(&world.dice, 10));
        break;
    case NETWORK:
        reader_network(false, false);
        break;
    case WAIT:
        pass(50 + below(3000));
        break;
    case START:
        start();
        break;
    case WRITE_BACK:
        files_write_back(below(world.edges));
        break;
    case TEND:
        tend();
        break;
    case KILL_COLLECTOR:
        kill_process(PLATFORM_COLLECTOR);
        break;
    case KILL_FEED:
        kill_process(PLATFORM_FEED);
        break;
    case KILL_BROKER:
        kill_broker();
        break;
    case RESIZE:
        resize();
        break;
    case KILL_REDIS:
        kill_redis();
        break;
    case REDIS_UP:
        cluster_start(any_server());
        break;
    case CUT:
        cut();
        break;
    case FREEZE:
        freeze();
        break;
    case CLOCK:
        set_clock();
        break;
    case POWER:
        lose_power();
        break;
    case DAMAGE:
        damage();
        break;
    case SHARD_AWAY:
        change_shard();
        break;
    case POISON:
        poison();
        break;
    case FORGET_SCRIPT:
        redis.server[any_server()].has_script = false;
        break;
    case LOSSES:
        change_losses();
        break;
    case SUBSCRIBER:
        broker_subscribe(below(world.edges), below(2) == 0);
        break;
    case ARCHIVE:
        archive();
        break;
    case WIPE:
        wipe();
        break;
    case FAIL_OVER:
        fail_over();
        break;
    case HANG:
        hang();
        break;
    case APART:
        set_apart();
        break;
    case CUT_OFF:
        cut_off();
        break;
    case STALE:
        make_stale();
        break;
    case MOVE:
        cluster_move(below(REDIS_PARTS), below(3) == 0);
        break;
    case EMPTY:
        come_back_empty();
        break;
    case KINDS:
        learn_kind(below(world.edges));
        break;
    case WHATS:
        break;
    }
}

/* --- coming to rest --- */

/* Everything that is under way arrives. */
static void settle(void)
{
    for (int round = 0; round < 24 && world.wrong[0] == '\0'; round++) {
        bool busy = false;
        for (unsigned link = 0; link < world.edges * WIRE_LINKS; link++)
            busy = wire_execute_left(link, 64) + wire_execute(link, 64) > 0 || busy;
        for (unsigned e = 0; e < world.edges; e++)
            for (int k = 0; k < PLATFORM_KINDS; k++) {
                busy = broker_work(e, (enum platform_kind)k, 64) > 0 || busy;
                if (programs_due(&platform_process[e][k])) {
                    programs_turn(&platform_process[e][k], 64);
                    busy = true;
                }
            }
        judge_step();
        if (!busy)
            return;
    }
}

static void mend(void)
{
    int64_t ahead_ms = 0;
    for (unsigned s = 0; s < cluster_all(); s++) {
        int64_t *its = &world.server_ahead_ms[s];
        ahead_ms = *its > ahead_ms ? *its : ahead_ms;
        if (!redis.wiped || *its != BEHIND_MS)
            *its = 0; /* else whoever makes the next store has a clock behind */
    }
    if (redis.went_back || redis.followed)
        world.us += (uint64_t)ahead_ms * 1000;
    judge_ring_mends();
    cluster_mend();
    judge_ring_mended();
    reader_loses_percent = broker_drops_percent = 0;
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        redis.shard_error[s] = NULL;
        redis.poisoned[s] = -1;
    }
    for (unsigned e = 0; e < world.edges; e++) {
        world.edge_ahead_ms[e] = 0;
        while (world_learn_kind(e))
            broker_kill(e);
        broker_start(e, -1);
        for (int k = 0; k < PLATFORM_KINDS; k++) {
            struct event_base *process = &platform_process[e][k];
            process->frozen = false;
            process->fuse = 0;
            programs_start(process, false);
        }
    }
}

/* What an operator does who reads that a collector waits for --adopt. */
static void operate(void)
{
    for (unsigned e = 0; e < world.edges; e++) {
        struct event_base *process = &platform_process[e][PLATFORM_COLLECTOR];
        files_tend(e, -1);
        bool adopt = strstr(broker[e].collector_reason, "--adopt") != NULL;
        bool correct = strstr(broker[e].collector_reason, "correct kind:") != NULL;
        if (!process->alive || !(adopt || correct))
            continue;
        if (correct)
            judge_kinds_corrected(e);
        broker[e].collector_reason[0] = '\0';
        programs_kill(process, 0);
        programs_start(process, adopt);
    }
}

/* Shards that are on their way stay so for a while, each with a reaction that waits: a collector
 * that tries in vain pauses for longer and longer, until they have arrived. */
static void linger(void)
{
    bool waits = false;
    for (unsigned s = 0; s < world.shards; s++) {
        if (redis.moves_to[s] < 0 || !world_is_cluster(world.seed))
            continue;
        for (unsigned a = 0; a < world.articles; a++)
            if (world.article[a].shard == s)
                reader_click(0, a, 1, below(world.edges));
        waits = true;
    }
    for (int turn = 0; waits && turn < LINGER_TURNS && world.wrong[0] == '\0'; turn++) {
        while (reader_network(true, false))
            ;
        settle();
        world.us += 1000000;
    }
}

/* Lets time pass until all is where it belongs, and then for as long as repeats take. */
static void rest(void)
{
    struct error why = {0};
    int after = 0;
    comes_to_rest = true;
    linger();
    mend();
    for (int turn = 0; turn < REST_TURNS && after < 7 && world.wrong[0] == '\0'; turn++) {
        world.dice.state = world.seed + (uint64_t)turn;
        world.us += turn < 30 ? 250000 : 1000000;
        cluster_replicate(true);
        settle();
        operate();
        while (reader_network(true, false))
            ;
        settle();
        bool settled = reader_settled(turn % 8 == 4);
        bool arrived = judge_arrived(&why);
        if (!settled)
            error_set(&why, "a reader gets no receipt: %.200s", broker[0].collector_reason);
        if (settled && arrived) {
            after++;
            world.us += 750000;
        } else {
            after = 0;
        }
    }
    if (world.wrong[0] != '\0')
        return;
    if (after < 7)
        world_wrong("it does not come to rest: %s", why.text);
    else
        judge_end();
}

static void begin(uint64_t seed)
{
    world_begin(seed);
    platform_reset();
    platform_on_nap = on_nap;
    bool store = dice_percent(&world.dice, 70);
    unsigned split = 1 + dice_below(&world.dice, 4);
    files_begin();
    redis_begin(store, split);
    wire_begin();
    broker_begin();
    reader_begin();
    judge_begin();
    for (unsigned e = 0; e < world.edges; e++) {
        broker_start(e, -1);
        for (int k = 0; k < PLATFORM_KINDS; k++)
            programs_start(&platform_process[e][k], false);
    }
    for (int i = 0; i < 4; i++) {
        world.us += 50000;
        settle();
    }
}

const char *schedule_run(const struct schedule *schedule, bool tells)
{
    world.tells = tells;
    comes_to_rest = true;
    begin(schedule->seed);
    comes_to_rest = false;
    if (tells)
        printf("  %s, %u edges, %u shards, %u articles, %u readers, rings of %llu bytes, batches "
               "of %u, "
               "%u in flight\n",
               world.cluster ? world.replicas ? "a cluster (durability replicas)" : "a cluster"
                             : "one Redis",
               world.edges, world.shards, world.articles, world.readers,
               (unsigned long long)world.ring_bytes, world.batch_records, world.in_flight);
    for (unsigned i = 0; i < schedule->n && world.wrong[0] == '\0'; i++) {
        if (tells)
            printf("  step %u: %s\n", i, kinds[schedule->step[i].what].name);
        do_step(&schedule->step[i]);
        judge_step();
        schedule_steps_run++;
    }
    if (tells)
        printf("  all that is broken is mended\n");
    if (world.wrong[0] == '\0')
        rest();
    return world.wrong[0] != '\0' ? world.wrong : NULL;
}

/* --- shrinking --- */

/* Two failures are the same where they begin with the same words, numbers apart. */
static bool same(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0' && *a != ':') {
        while (*a >= '0' && *a <= '9')
            a++;
        while (*b >= '0' && *b <= '9')
            b++;
        if (*a != *b)
            return false;
        if (*a != '\0' && *a != ':') {
            a++;
            b++;
        }
    }
    return *a == *b;
}

void schedule_shrink(struct schedule *schedule)
{
    char wrong[WORLD_WHY_BYTES];
    const char *first = schedule_run(schedule, false);
    if (first == NULL)
        return;
    snprintf(wrong, sizeof wrong, "%s", first);
    for (unsigned chunk = schedule->n / 2; chunk > 0;) {
        bool dropped = false;
        for (unsigned from = 0; from < schedule->n;) {
            struct schedule less = *schedule;
            unsigned n = from + chunk < less.n ? chunk : less.n - from;
            memmove(&less.step[from], &less.step[from + n],
                    (less.n - from - n) * sizeof less.step[0]);
            less.n -= n;
            const char *now = schedule_run(&less, false);
            if (now != NULL && same(wrong, now)) {
                *schedule = less;
                dropped = true;
            } else {
                from += n;
            }
        }
        if (!dropped || chunk > schedule->n)
            chunk /= 2;
    }
}

/* The end of a schedule: everything that is broken is mended, and then has to
 * come to rest. */
#include "rest.h"

#include "broker.h"
#include "cluster.h"
#include "files.h"
#include "judge.h"
#include "programs.h"
#include "reader.h"
#include "step.h"
#include "wire.h"

#include <string.h>

#define REST_TURNS 240
#define LINGER_TURNS 9 /* of a second each */

static uint32_t below(uint32_t n)
{
    return dice_below(&world.dice, n);
}

/* Everything that is under way arrives. */
void rest_settle(void)
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
        if (!redis.wiped || *its != REST_BEHIND_MS)
            *its = 0; /* else the maker of the next store has a clock behind */
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

/* Shards that are on their way stay so for a while, each with a reaction that
 * waits: a collector that tries in vain pauses for longer and longer, until
 * they have arrived. */
static void linger(void)
{
    bool waits = false;
    for (unsigned s = 0; s < REDIS_SERVERS; s++)
        if (redis.server[s].apart)
            return; /* for so long it would serve nothing */
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
        rest_settle();
        world.us += 1000000;
    }
}

/* Lets time pass until all is where it belongs, and then for as long as repeats
 * take. */
void rest_come(void)
{
    struct error why = {0};
    int after = 0;
    step_clicks(false);
    linger();
    mend();
    for (int turn = 0; turn < REST_TURNS && after < 7 && world.wrong[0] == '\0'; turn++) {
        world.dice.state = world.seed + (uint64_t)turn;
        world.us += turn < 30 ? 250000 : 1000000;
        cluster_replicate(true);
        rest_settle();
        operate();
        while (reader_network(true, false))
            ;
        rest_settle();
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

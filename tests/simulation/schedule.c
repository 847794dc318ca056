/* Draws schedules, runs and shrinks them. */
#include "schedule.h"

#include "broker.h"
#include "files.h"
#include "judge.h"
#include "programs.h"
#include "reader.h"
#include "rest.h"
#include "step.h"
#include "wire.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t weight, percent; /* how often; in how many schedules of 100 */
} kinds[WHATS] = {
    [STEP_WORK] = {"work", 60, 100},
    [STEP_CLICK] = {"click", 26, 100},
    [STEP_REPEAT] = {"repeat", 8, 100},
    [STEP_NETWORK] = {"network", 30, 100},
    [STEP_WAIT] = {"wait", 8, 100},
    [STEP_START] = {"start", 8, 100},
    [STEP_WRITE_BACK] = {"write back", 3, 50},
    [STEP_TEND] = {"tend", 4, 100},
    [STEP_KILL_COLLECTOR] = {"kill collector", 5, 50},
    [STEP_KILL_FEED] = {"kill feed", 3, 40},
    [STEP_KILL_BROKER] = {"kill broker", 4, 40},
    [STEP_RESIZE] = {"resize", 3, 30},
    [STEP_KILL_REDIS] = {"kill Redis", 5, 55},
    [STEP_REDIS_UP] = {"Redis up", 6, 100},
    [STEP_CUT] = {"cut", 4, 40},
    [STEP_FREEZE] = {"freeze", 3, 25},
    [STEP_CLOCK] = {"clock", 3, 25},
    [STEP_POWER] = {"power", 2, 20},
    [STEP_DAMAGE] = {"damage", 2, 15},
    [STEP_SHARD_AWAY] = {"shard away", 4, 30},
    [STEP_POISON] = {"poison", 4, 20},
    [STEP_FORGET_SCRIPT] = {"forget script", 3, 20},
    [STEP_LOSSES] = {"losses", 4, 50},
    [STEP_SUBSCRIBER] = {"subscriber", 4, 40},
    [STEP_ARCHIVE] = {"archive", 4, 25},
    [STEP_WIPE] = {"wipe", 1, 8},
    [STEP_FAIL_OVER] = {"fail over", 7, 70},
    [STEP_HANG] = {"hang", 4, 35},
    [STEP_APART] = {"apart", 4, 35},
    [STEP_CUT_OFF] = {"cut off", 4, 35},
    [STEP_STALE] = {"stale", 4, 50},
    [STEP_MOVE] = {"move", 5, 40},
    [STEP_EMPTY] = {"empty", 1, 8},
    [STEP_KINDS] = {"kinds", 5, 100},
};

uint64_t schedule_steps_run;

/* --- drawing --- */

void schedule_draw(struct schedule *schedule, uint64_t seed)
{
    struct dice dice = {seed * 0x9e3779b97f4a7c15ull ^ 0x7461666c6c79ull};
    uint32_t weight[WHATS], all = 0;
    /* In a narrow world little happens but that Redis goes back. */
    bool narrow = world_is_narrow(seed);
    for (int i = 0; i < WHATS; i++) {
        uint32_t percent = kinds[i].percent;
        if ((i >= STEP_FAIL_OVER && !world_is_cluster(seed)) ||
            (i == STEP_KINDS && !world_kinds_differ(seed))) {
            weight[i] = 0;
            continue;
        }
        if (narrow && percent < 100)
            percent = i == STEP_KILL_REDIS ? 100 : percent / 3;
        weight[i] = dice_percent(&dice, percent) ? kinds[i].weight : 0;
        if (narrow && (i == STEP_KILL_REDIS || i == STEP_WORK))
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

/* --- running --- */

static void begin(uint64_t seed)
{
    world_begin(seed);
    platform_reset();
    platform_on_nap = step_on_nap;
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
        rest_settle();
    }
}

const char *schedule_run(const struct schedule *schedule, bool tells)
{
    world.tells = tells;
    step_clicks(false);
    begin(schedule->seed);
    step_clicks(true);
    if (tells)
        printf("  %s, %u edges, %u shards, %u articles, %u readers, rings of %llu "
               "bytes, batches "
               "of %u, "
               "%u in flight\n",
               world.cluster ? world.replicas ? "a cluster (durability replicas)" : "a cluster"
                             : "one Redis",
               world.edges, world.shards, world.articles, world.readers,
               (unsigned long long)world.ring_bytes, world.batch_records, world.in_flight);
    for (unsigned i = 0; i < schedule->n && world.wrong[0] == '\0'; i++) {
        if (tells)
            printf("  step %u: %s\n", i, kinds[schedule->step[i].what].name);
        step_do((enum step)schedule->step[i].what, schedule->step[i].dice);
        judge_step();
        schedule_steps_run++;
    }
    if (tells)
        printf("  all that is broken is mended\n");
    if (world.wrong[0] == '\0')
        rest_come();
    return world.wrong[0] != '\0' ? world.wrong : NULL;
}

/* --- shrinking --- */

/* Two failures are the same where they begin with the same words, numbers
 * apart. */
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

/* tally-simulate: runs seeded schedules; prints the shortened history of the first that fails. */
#include "calls.h"
#include "judge.h"
#include "schedule.h"

#include "core/option.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct settings_of_run {
    uint64_t seed, schedules, edges;
    bool caught, calls;
    char redis[OPTION_TEXT_MAX_BYTES + 1];
    char fault[OPTION_TEXT_MAX_BYTES + 1];
};

#define AT(field) offsetof(struct settings_of_run, field)
static const struct option table[] = {
    {"seed", OPTION_NUMBER, AT(seed), 0, UINT64_MAX, "1", "a number", "the first schedule's seed"},
    {"schedules", OPTION_NUMBER, AT(schedules), 1, UINT64_MAX, "1000", "a number from 1 on",
     "how many to run; each one's seed is one more"},
    {"fault", OPTION_TEXT, AT(fault), 0, OPTION_TEXT_MAX_BYTES, "", "a name out of faults/",
     "run the build with this fault, and succeed when it is caught"},
    {"redis", OPTION_TEXT, AT(redis), 0, OPTION_TEXT_MAX_BYTES, "any", "any, one or cluster",
     "what programs reach: one Redis, or the nodes of a cluster; any: a cluster in three of four"},
    {"edges", OPTION_NUMBER, AT(edges), 0, WORLD_EDGES, "0", "0 to 3",
     "how many edges share the store; 0: one or two"},
    {"caught", OPTION_SWITCH, AT(caught), 0, 0, "off", "on or off",
     "succeed when a schedule fails, and print no history (what --fault does)"},
    {"calls", OPTION_SWITCH, AT(calls), 0, 0, "off", "on or off",
     "print each call of register.lua, its answer, and what the shard held before and after"},
};
static const size_t table_n = sizeof table / sizeof table[0];

/* The build with the fault lies beside this one. Returns only if there is none. */
static int run_fault(const struct settings_of_run *settings)
{
    char self[512], path[1024], seed[40], schedules[40], of_redis[OPTION_TEXT_MAX_BYTES + 16],
        edges[40];
    ssize_t bytes = readlink("/proc/self/exe", self, sizeof self - 1);
    if (bytes <= 0)
        return -1;
    self[bytes] = '\0';
    snprintf(path, sizeof path, "%s-%s", self, settings->fault);
    snprintf(seed, sizeof seed, "--seed=%" PRIu64, settings->seed);
    snprintf(schedules, sizeof schedules, "--schedules=%" PRIu64, settings->schedules);
    snprintf(of_redis, sizeof of_redis, "--redis=%s", settings->redis);
    snprintf(edges, sizeof edges, "--edges=%" PRIu64, settings->edges);
    execl(path, path, seed, schedules, of_redis, edges, "--caught", (char *)NULL);
    fprintf(stderr, "option fault: %s is not a name out of faults/ (no %s)\n", settings->fault,
            path);
    return -1;
}

/* Prints what went wrong and how. */
static void tell(struct schedule *schedule)
{
    unsigned n = schedule->n;
    schedule_shrink(schedule);
    printf("seed %" PRIu64 " fails; %u of its %u steps suffice:\n", schedule->seed, schedule->n, n);
    const char *wrong = schedule_run(schedule, true);
    printf("seed %" PRIu64 ": %s\n", schedule->seed, wrong != NULL ? wrong : "(not again)");
}

static void print_figures(uint64_t schedules, double seconds)
{
    printf("schedules=%" PRIu64 " steps=%" PRIu64 " admitted=%" PRIu64 " votes=%" PRIu64
           " receipts=%" PRIu64 " totals=%" PRIu64 " not_promised=%" PRIu64 " seconds=%.1f\n",
           schedules, schedule_steps_run, judge_counts.admitted, judge_counts.votes,
           judge_counts.receipts, judge_counts.totals, judge_counts.optional, seconds);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Returns the exit status. */
static int run(const struct settings_of_run *settings)
{
    static struct schedule schedule;
    double begun = now_s();
    const char *wrong = NULL;
    uint64_t i = 0;
    while (i < settings->schedules && wrong == NULL) {
        schedule_draw(&schedule, settings->seed + i++);
        wrong = schedule_run(&schedule, false);
    }
    if (wrong != NULL && settings->caught)
        printf("caught by seed %" PRIu64 ": %s\n", schedule.seed, wrong);
    else if (wrong != NULL)
        tell(&schedule);
    print_figures(i, now_s() - begun);
    return (wrong != NULL) == settings->caught ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct settings_of_run settings;
    cJSON_Hooks hooks = {malloc, free};
    struct error error;
    int help;
    int read = option_parse(table, table_n, &settings, argc, argv, &help, &error);
    if (read < 0)
        fprintf(stderr, "%s\n", error.text);
    if (read > 0)
        option_print(table, table_n, stdout);
    if (read != 0)
        return read < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    if (settings.fault[0] != '\0')
        return run_fault(&settings) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    cJSON_InitHooks(&hooks);
    calls_told = settings.calls;
    world_redis = strcmp(settings.redis, "one") == 0       ? WORLD_REDIS_ONE
                  : strcmp(settings.redis, "cluster") == 0 ? WORLD_REDIS_CLUSTER
                                                           : WORLD_REDIS_ANY;
    world_edges = (unsigned)settings.edges;
    return run(&settings);
}

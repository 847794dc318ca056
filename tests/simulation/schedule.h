/* A schedule: steps that are drawn from a seed, run one after another in a fresh world; then all
 * that is broken is mended and the world must come to rest as it should. One thread. */
#ifndef TALLY_SIMULATION_SCHEDULE_H
#define TALLY_SIMULATION_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_STEPS_MAX 160

struct schedule_step {
    uint8_t what;
    uint64_t dice; /* all that is random in it */
};

struct schedule {
    uint64_t seed;
    unsigned n;
    struct schedule_step step[SCHEDULE_STEPS_MAX];
};

/* Draws a schedule. */
void schedule_draw(struct schedule *schedule, uint64_t seed);

/* Runs it. Returns NULL, or what was wrong (world.wrong, valid until the next run). `tells`: prints
 * each step and what comes of it. */
const char *schedule_run(const struct schedule *schedule, bool tells);

/* Drops steps for as long as the same thing goes wrong (Zeller, Hildebrandt, "Simplifying and
 * isolating failure-inducing input", IEEE TSE 2002: ddmin, complements only). */
void schedule_shrink(struct schedule *schedule);

/* Steps that were run in all. */
extern uint64_t schedule_steps_run;

#endif

/* The processes of the simulation, and what replaces the system under them: memory, libevent's
 * events, clocks, log. Collector and feed are the real ones (serve.c, publisher.c and all that they
 * use); each runs on a struct event_base, which is the process here. It can be killed at any call
 * that it makes of the platform: it is left by a longjmp, its memory is freed, and what it mapped
 * or sent stays as it is. One thread. */
#ifndef TALLY_SIMULATION_PLATFORM_H
#define TALLY_SIMULATION_PLATFORM_H

#include "world.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum platform_kind { PLATFORM_COLLECTOR, PLATFORM_FEED, PLATFORM_KINDS };

struct platform_block;

/* A process. libevent only declares its base, so it may be this. */
struct event_base {
    unsigned edge;
    enum platform_kind kind;
    bool alive;
    bool waits;  /* in its event loop: nothing is done until an event comes */
    bool frozen; /* stopped, as by SIGSTOP */
    long fuse;   /* calls of the platform until it is killed; 0: it lives */
    struct event *events;
    struct platform_block *memory;
    void *program; /* the program's own */
};

extern struct event_base platform_process[WORLD_EDGES][PLATFORM_KINDS]; /* by edge */
extern struct event_base *platform_now; /* the process that runs, or NULL */

/* Forgets all processes. */
void platform_reset(void);

/* Runs `fn` as `process`. False where it was killed in it: then it is dead, its memory is gone, and
 * the caller has to tell who was connected. */
bool platform_run(struct event_base *process, void (*fn)(struct event_base *process));

/* Ends a process between two runs: kill -9. */
void platform_kill(struct event_base *process);

/* Each call of the platform begins here: this may be the last. */
void platform_point(void);

/* Whether an event of the process is due; calls the callbacks of those that are. */
bool platform_due(const struct event_base *process);
void platform_dispatch(struct event_base *process);

/* A descriptor became readable (true) or was drained. */
void platform_readable(struct event_base *process, int fd, bool readable);

/* Called while a collector naps or lies down, when a reaction may come from another process. */
extern void (*platform_on_nap)(struct event_base *process);

#endif

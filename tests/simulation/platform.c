/* The functions of libevent, libc, libsodium and lib/daemon that the real programs call, under
 * their own names; malloc and its like come here by the linker's --wrap. */
#include "platform.h"

#include "watch.h"
#include "world.h"

#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/reload.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct event_base platform_process[WORLD_EDGES][PLATFORM_KINDS];
struct event_base *platform_now;
void (*platform_on_nap)(struct event_base *process);
static jmp_buf killed;

/* --- memory --- */

struct platform_block {
    struct platform_block *prev, *next;
    struct event_base *owner;
    size_t bytes;
};

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

/* Lists it as the running program's. */
static void *own(struct platform_block *block, size_t bytes)
{
    if (block == NULL)
        return NULL;
    *block = (struct platform_block){.owner = platform_now, .bytes = bytes};
    if (platform_now != NULL) {
        block->next = platform_now->memory;
        if (block->next != NULL)
            block->next->prev = block;
        platform_now->memory = block;
    }
    return block + 1;
}

void *__wrap_malloc(size_t bytes)
{
    return own(__real_malloc(sizeof(struct platform_block) + bytes), bytes);
}

/* The programs' large tables stay mostly untouched in a schedule: the system's zero pages cost
 * less than writing zeros. */
void *__wrap_calloc(size_t n, size_t bytes)
{
    return own(__real_calloc(1, sizeof(struct platform_block) + n * bytes), n * bytes);
}

void __wrap_free(void *memory)
{
    if (memory == NULL)
        return;
    struct platform_block *block = (struct platform_block *)memory - 1;
    if (block->next != NULL)
        block->next->prev = block->prev;
    if (block->prev != NULL)
        block->prev->next = block->next;
    else if (block->owner != NULL)
        block->owner->memory = block->next;
    __real_free(block);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    void *more = __wrap_malloc(bytes);
    if (more != NULL && memory != NULL) {
        size_t had = ((struct platform_block *)memory - 1)->bytes;
        memcpy(more, memory, had < bytes ? had : bytes);
        __wrap_free(memory);
    }
    return more;
}

char *__wrap_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = __wrap_malloc(bytes);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

/* --- processes --- */

void platform_kill(struct event_base *process)
{
    while (process->memory != NULL) {
        struct platform_block *block = process->memory;
        process->memory = block->next;
        __real_free(block);
    }
    process->events = NULL;
    process->alive = process->waits = process->frozen = false;
    process->fuse = 0;
    process->program = NULL;
}

void platform_reset(void)
{
    for (unsigned edge = 0; edge < WORLD_EDGES; edge++)
        for (int kind = 0; kind < PLATFORM_KINDS; kind++) {
            struct event_base *process = &platform_process[edge][kind];
            platform_kill(process);
            process->edge = edge;
            process->kind = (enum platform_kind)kind;
        }
}

bool platform_run(struct event_base *process, void (*fn)(struct event_base *process))
{
    platform_now = process;
    if (setjmp(killed) == 0) {
        fn(process);
        platform_now = NULL;
        return true;
    }
    struct event_base *dead = platform_now;
    platform_now = NULL;
    world_tell("%s %u is killed", dead->kind == PLATFORM_FEED ? "feed" : "collector", dead->edge);
    platform_kill(dead);
    return false;
}

void platform_point(void)
{
    if (platform_now == NULL || platform_now->fuse == 0 || --platform_now->fuse > 0)
        return;
    longjmp(killed, 1);
}

/* --- libevent --- */

struct event {
    struct event_base *base;
    struct event *next;
    event_callback_fn fn;
    void *user;
    int fd;
    short what;
    bool pending, active, timed;
    uint64_t interval_us, due_us;
};

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what,
                        event_callback_fn fn, void *user)
{
    struct event *event = __wrap_calloc(1, sizeof *event);
    if (event == NULL)
        return NULL;
    *event = (struct event){
        .base = base, .next = base->events, .fn = fn, .user = user, .fd = fd, .what = what};
    base->events = event;
    return event;
}

void event_free(struct event *event)
{
    struct event **at = &event->base->events;
    while (*at != event)
        at = &(*at)->next;
    *at = event->next;
    __wrap_free(event);
}

int event_add(struct event *event, const struct timeval *after)
{
    event->pending = true;
    event->timed = after != NULL;
    if (after != NULL) {
        event->interval_us = (uint64_t)after->tv_sec * 1000000u + (uint64_t)after->tv_usec;
        event->due_us = world.us + event->interval_us;
    }
    return 0;
}

int event_del(struct event *event)
{
    event->pending = event->active = false;
    return 0;
}

int event_pending(const struct event *event, short what, struct timeval *at)
{
    (void)at;
    return event->pending ? what : 0;
}

void event_active(struct event *event, int what, short calls)
{
    (void)what;
    (void)calls;
    event->active = true;
}

static bool is_due(const struct event *event)
{
    return event->active || (event->pending && event->timed && event->due_us <= world.us);
}

bool platform_due(const struct event_base *process)
{
    for (const struct event *event = process->events; event != NULL; event = event->next)
        if (is_due(event))
            return true;
    return false;
}

/* One that is due, freed from its being due. Those that come due by a callback wait for the next
 * turn of the loop, as in libevent. */
static struct event *take_due(struct event_base *process)
{
    for (struct event *event = process->events; event != NULL; event = event->next) {
        if (!is_due(event))
            continue;
        event->active = false;
        if (event->timed && (event->what & EV_PERSIST) != 0)
            event->due_us = world.us + event->interval_us;
        else if (event->timed)
            event->pending = false;
        return event;
    }
    return NULL;
}

void platform_dispatch(struct event_base *process)
{
    struct event *event;
    for (int i = 0; i < 16 && (event = take_due(process)) != NULL; i++) {
        platform_point();
        event->fn(event->fd, event->fd >= 0 ? EV_READ : EV_TIMEOUT, event->user);
    }
}

void platform_readable(struct event_base *process, int fd, bool readable)
{
    for (struct event *event = process->events; event != NULL; event = event->next)
        if (event->fd == fd && event->pending)
            event->active = readable;
}

/* serve_run and main.c, which the simulation does not call, use it. */
int event_base_loop(struct event_base *base, int flags)
{
    (void)base;
    (void)flags;
    return -1;
}

/* --- clocks, sleep, log, randomness --- */

uint64_t clock_monotonic_ms(void)
{
    return world.us / 1000 + 1000000;
}

uint64_t clock_monotonic_ns(void)
{
    return clock_monotonic_ms() * 1000000;
}

uint64_t clock_unix_ms(void)
{
    return world_edge_ms(platform_now->edge);
}

uint64_t clock_unix_us(void)
{
    return clock_unix_ms() * 1000 + world.us % 1000;
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)wanted;
    (void)left;
    platform_point();
    if (platform_on_nap != NULL)
        platform_on_nap(platform_now);
    return 0;
}

/* Secrets do not change here. */
void reload_secrets(const struct links *links, enum role role, const struct reload_to *to)
{
    (void)links;
    (void)role;
    (void)to;
}

void log_line(enum log_level level, const char *msg, const char *format, ...)
{
    char more[512] = "";
    va_list arguments;
    platform_point();
    if (!world.tells || level == LOG_LEVEL_DEBUG || platform_now == NULL)
        return;
    if (format != NULL) {
        va_start(arguments, format);
        vsnprintf(more, sizeof more, format, arguments);
        va_end(arguments);
    }
    world_tell("  %s %u says: %s %.200s",
               platform_now->kind == PLATFORM_FEED ? "feed" : "collector", platform_now->edge, msg,
               more);
}

uint32_t randombytes_uniform(uint32_t bound)
{
    return (uint32_t)(world_id() >> 32) % bound;
}

void randombytes_buf(void *out, size_t bytes)
{
    unsigned char *at = out;
    while (bytes > 0) {
        uint64_t some = world_id();
        size_t n = bytes < sizeof some ? bytes : sizeof some;
        memcpy(at, &some, n);
        at += n;
        bytes -= n;
    }
}

/* --- systemd, which is not there --- */

struct notify {
    char status[NOTIFY_STATUS_BYTES]; /* as told last */
};

struct notify *notify_new(struct event_base *base)
{
    (void)base;
    return calloc(1, sizeof(struct notify));
}

void notify_free(struct notify *notify)
{
    free(notify);
}

void notify_ready(struct notify *notify)
{
    (void)notify;
}

void notify_status(struct notify *notify, const char *reason)
{
    (void)snprintf(notify->status, sizeof notify->status, "%s", reason);
}

void notify_stopping(struct notify *notify)
{
    (void)notify;
}

/* --- the collector's HTTP server, which nobody asks --- */

struct watch {
    char unused;
};

struct watch *watch_new(struct event_base *base, const struct watch_config *config,
                        struct error *error)
{
    (void)base;
    (void)config;
    (void)error;
    return calloc(1, sizeof(struct watch));
}

void watch_free(struct watch *watch)
{
    free(watch);
}

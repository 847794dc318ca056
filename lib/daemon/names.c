/* The threads share a small struct with the loop, which the last of them frees. libevent's own
 * resolver (evdns) was not taken: 2.1 reads resolv.conf and /etc/hosts once, ignores nsswitch.conf,
 * and cannot ask over TCP when an answer is cut. */
#include "daemon/names.h"
#include "daemon/clock.h"
#include "daemon/events.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS_MAX 4    /* of one name, where a resolver does not answer */
#define PATIENCE_MS 2000 /* then another lookup is begun; an unused answer is as old at most */
#define STACK_BYTES ((size_t)512 * 1024)
#define WHY_BYTES 128

struct answer {
    bool there;
    struct addrinfo *found;
    char why[WHY_BYTES];
};

struct shared {
    pthread_mutex_t mutex;
    unsigned users; /* threads, and the loop */
    int event;      /* an eventfd, readable once an answer is there */
    bool closed;    /* the loop has left */
    struct answer answer;
    char host[];
};

struct names {
    names_cb *fn;
    void *user;
    struct shared *shared;
    struct event *readable;
    struct answer kept;
    bool waits;
    uint64_t asked_ms, kept_ms;
};

bool names_is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* --- in the thread --- */

static void leave(struct shared *shared)
{
    pthread_mutex_lock(&shared->mutex);
    bool last = --shared->users == 0;
    pthread_mutex_unlock(&shared->mutex);
    if (!last)
        return;
    if (shared->answer.found != NULL)
        freeaddrinfo(shared->answer.found);
    pthread_mutex_destroy(&shared->mutex);
    close(shared->event);
    free(shared);
}

static void *look_up(void *user)
{
    struct shared *shared = user;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct answer answer = {.there = true};
    char words[WHY_BYTES / 2];
    int rc = getaddrinfo(shared->host, NULL, &hints, &answer.found);
    if (rc != 0) {
        const char *said =
            rc == EAI_SYSTEM ? strerror_r(errno, words, sizeof words) : gai_strerror(rc);
        answer.found = NULL;
        snprintf(answer.why, sizeof answer.why, "%s", said);
    }
    pthread_mutex_lock(&shared->mutex);
    if (!shared->closed && !shared->answer.there) {
        const uint64_t one = 1;
        shared->answer = answer;
        answer.found = NULL;
        (void)!write(shared->event, &one, sizeof one); /* a counter of 1 always fits */
    }
    pthread_mutex_unlock(&shared->mutex);
    if (answer.found != NULL)
        freeaddrinfo(answer.found);
    leave(shared);
    return NULL;
}

static int start_thread(struct shared *shared)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return -1;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_mutex_lock(&shared->mutex);
    bool room = shared->users <= THREADS_MAX;
    shared->users += room;
    pthread_mutex_unlock(&shared->mutex);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    int rc = room ? pthread_create(&thread, &attributes, look_up, shared) : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (rc != 0)
        leave(shared);
    return rc == 0 ? 0 : -1;
}

/* --- in the loop --- */

static void drop_kept(struct names *names)
{
    if (names->kept.found != NULL)
        freeaddrinfo(names->kept.found);
    names->kept = (struct answer){0};
}

static void hand_over(struct names *names)
{
    struct answer answer = names->kept;
    names->kept = (struct answer){0};
    names->waits = false;
    names->fn(names->user, answer.found, answer.why);
}

static void on_readable(evutil_socket_t fd, short what, void *user)
{
    struct names *names = user;
    uint64_t count;
    struct answer answer;
    (void)what;
    (void)!read(fd, &count, sizeof count);
    pthread_mutex_lock(&names->shared->mutex);
    answer = names->shared->answer;
    names->shared->answer = (struct answer){0};
    pthread_mutex_unlock(&names->shared->mutex);
    if (answer.there) {
        drop_kept(names);
        names->kept = answer;
        names->kept_ms = clock_monotonic_ms();
        names->asked_ms = 0;
    }
    if (names->waits && names->kept.there)
        hand_over(names);
}

static struct shared *make_shared(const char *host)
{
    size_t bytes = strlen(host) + 1;
    struct shared *shared = calloc(1, sizeof *shared + bytes);
    if (shared == NULL)
        return NULL;
    memcpy(shared->host, host, bytes);
    shared->users = 1;
    shared->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (shared->event < 0 || pthread_mutex_init(&shared->mutex, NULL) != 0) {
        if (shared->event >= 0)
            close(shared->event);
        free(shared);
        return NULL;
    }
    return shared;
}

struct names *names_new(struct event_base *base, const char *host, names_cb *fn, void *user)
{
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL)
        return NULL;
    names->fn = fn;
    names->user = user;
    names->shared = make_shared(host);
    if (names->shared != NULL)
        names->readable =
            event_new(base, names->shared->event, EV_READ | EV_PERSIST, on_readable, names);
    if (names->readable == NULL || event_add(names->readable, NULL) != 0) {
        names_free(names);
        return NULL;
    }
    return names;
}

void names_free(struct names *names)
{
    if (names == NULL)
        return;
    events_free(names->readable);
    drop_kept(names);
    if (names->shared != NULL) {
        pthread_mutex_lock(&names->shared->mutex);
        names->shared->closed = true;
        pthread_mutex_unlock(&names->shared->mutex);
        leave(names->shared);
    }
    free(names);
}

int names_ask(struct names *names)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (names->kept.there && now_ms - names->kept_ms > PATIENCE_MS)
        drop_kept(names);
    if (names->kept.there) {
        event_active(names->readable, EV_READ, 0);
    } else if (names->asked_ms == 0 || now_ms - names->asked_ms > PATIENCE_MS) {
        if (start_thread(names->shared) != 0)
            return -1;
        names->asked_ms = now_ms;
    }
    names->waits = true;
    return 0;
}

void names_cancel(struct names *names)
{
    names->waits = false;
}

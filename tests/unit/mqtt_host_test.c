#include "unit.h"

#include "daemon/mqtt_host.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdlib.h>

/* Stands in for the resolver of the machine: as slow as a test wants. */
static sem_t answers;
static int lookups;
static int (*resolver)(struct addrinfo **found);

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    (void)name;
    (void)service;
    (void)hints;
    __atomic_add_fetch(&lookups, 1, __ATOMIC_SEQ_CST);
    while (sem_wait(&answers) != 0)
        ;
    return resolver(found);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
void freeaddrinfo(struct addrinfo *found)
{
    while (found != NULL) {
        struct addrinfo *next = found->ai_next;
        free(found->ai_addr);
        free(found);
        found = next;
    }
}

static struct addrinfo *address(int family, const char *text, struct addrinfo *next)
{
    struct addrinfo *made = calloc(1, sizeof *made);
    assert_non_null(made);
    if (family == AF_INET) {
        struct sockaddr_in *at = calloc(1, sizeof *at);
        at->sin_family = AF_INET;
        assert_int_equal(inet_pton(family, text, &at->sin_addr), 1);
        made->ai_addr = (struct sockaddr *)at;
        made->ai_addrlen = sizeof *at;
    } else {
        struct sockaddr_in6 *at = calloc(1, sizeof *at);
        at->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(family, text, &at->sin6_addr), 1);
        made->ai_addr = (struct sockaddr *)at;
        made->ai_addrlen = sizeof *at;
    }
    made->ai_family = family;
    made->ai_next = next;
    return made;
}

static int two(struct addrinfo **found)
{
    *found = address(AF_INET6, "::1", address(AF_INET, "127.0.0.1", NULL));
    return 0;
}

static int none(struct addrinfo **found)
{
    *found = NULL;
    return EAI_NONAME;
}

struct asked {
    struct event_base *base;
    struct mqtt_host *at;
    int calls;
    char address[64], why[200];
};

static void on_address(void *user, const char *address, const char *why)
{
    struct asked *asked = user;
    asked->calls++;
    snprintf(asked->address, sizeof asked->address, "%s", address != NULL ? address : "");
    snprintf(asked->why, sizeof asked->why, "%s", why);
    event_base_loopbreak(asked->base);
}

static void open_host(struct asked *asked, const char *host)
{
    *asked = (struct asked){.base = event_base_new()};
    assert_non_null(asked->base);
    assert_int_equal(sem_init(&answers, 0, 0), 0);
    lookups = 0;
    resolver = two;
    asked->at = mqtt_host_new(asked->base, host, on_address, asked);
    assert_non_null(asked->at);
}

static void close_host(struct asked *asked)
{
    mqtt_host_free(asked->at);
    event_base_free(asked->base);
}

static void an_address_needs_no_lookup(void **state)
{
    (void)state;
    static const char *const address[] = {"127.0.0.1", "::1"};
    for (size_t i = 0; i < 2; i++) {
        struct asked asked;
        open_host(&asked, address[i]);
        mqtt_host_ask(asked.at);
        assert_int_equal(asked.calls, 1);
        assert_string_equal(asked.address, address[i]);
        assert_int_equal(lookups, 0);
        close_host(&asked);
    }
}

static void on_time(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    ++*(int *)user;
    sem_post(&answers); /* the loop turned while the resolver was still busy */
}

static void a_slow_name_does_not_stop_the_loop(void **state)
{
    (void)state;
    struct asked asked;
    const struct timeval soon = {.tv_usec = 1000};
    int turned = 0;
    open_host(&asked, "slow.example");
    struct event *timer = evtimer_new(asked.base, on_time, &turned);
    mqtt_host_ask(asked.at);
    mqtt_host_ask(asked.at); /* changes nothing */
    assert_int_equal(asked.calls, 0);
    assert_int_equal(event_add(timer, &soon), 0);
    event_base_dispatch(asked.base);
    assert_int_equal(turned, 1);
    assert_int_equal(asked.calls, 1);
    assert_string_equal(asked.address, "::1");
    event_free(timer);
    close_host(&asked);
}

static void addresses_take_turns(void **state)
{
    (void)state;
    static const char *const expected[] = {"::1", "127.0.0.1", "::1"};
    struct asked asked;
    open_host(&asked, "two.example");
    for (int i = 0; i < 3; i++) {
        sem_post(&answers);
        mqtt_host_ask(asked.at);
        event_base_dispatch(asked.base);
        assert_int_equal(asked.calls, i + 1);
        assert_string_equal(asked.address, expected[i]);
    }
    close_host(&asked);
}

static void an_unknown_name_is_said(void **state)
{
    (void)state;
    struct asked asked;
    open_host(&asked, "nobody.example");
    resolver = none;
    sem_post(&answers);
    mqtt_host_ask(asked.at);
    event_base_dispatch(asked.base);
    assert_int_equal(asked.calls, 1);
    assert_string_equal(asked.address, "");
    assert_non_null(strstr(asked.why, "nobody.example cannot be resolved: "));
    close_host(&asked);
}

static void a_cancelled_question_gets_no_answer(void **state)
{
    (void)state;
    struct asked asked;
    const struct timeval soon = {.tv_usec = 1000};
    int turned = 0;
    open_host(&asked, "slow.example");
    struct event *timer = evtimer_new(asked.base, on_time, &turned);
    mqtt_host_ask(asked.at);
    mqtt_host_cancel(asked.at);
    assert_int_equal(event_add(timer, &soon), 0);
    while (turned == 0)
        event_base_loop(asked.base, EVLOOP_ONCE);
    assert_int_equal(asked.calls, 0);
    mqtt_host_ask(asked.at); /* gets the late answer of the first lookup */
    event_base_dispatch(asked.base);
    assert_int_equal(asked.calls, 1);
    assert_string_equal(asked.address, "::1");
    assert_int_equal(lookups, 1);
    event_free(timer);
    close_host(&asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_needs_no_lookup),
        cmocka_unit_test(a_slow_name_does_not_stop_the_loop),
        cmocka_unit_test(addresses_take_turns),
        cmocka_unit_test(an_unknown_name_is_said),
        cmocka_unit_test(a_cancelled_question_gets_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What has no clock in it: the other end of the connection is in the test's hand, and the wire
 * itself ends nothing for being slow. */
#include "unit.h"

#include "redis/redis_wire.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)1 << 20)

struct talk {
    struct event_base *base;
    struct redis_wire *wire;
    int peer; /* the server's end */
    unsigned opens, answers, nulls, ends;
    size_t longest_bytes;
    char why[200];
};

static void on_open(void *user)
{
    struct talk *talk = user;
    talk->opens++;
}

static void on_answer(void *user, const struct redis_wire_call *call, const redisReply *reply)
{
    struct talk *talk = user;
    assert_non_null(call);
    talk->answers += reply != NULL;
    talk->nulls += reply == NULL;
    if (reply != NULL && reply->len > talk->longest_bytes)
        talk->longest_bytes = reply->len;
}

static void on_end(void *user, const char *why)
{
    struct talk *talk = user;
    talk->ends++;
    snprintf(talk->why, sizeof talk->why, "%s", why);
}

static void begin(struct talk *talk)
{
    int ends[2];
    const struct redis_wire_config config = {
        .on_open = on_open, .on_answer = on_answer, .on_end = on_end, .user = talk};
    memset(talk, 0, sizeof *talk);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    talk->peer = ends[1];
    talk->base = event_base_new();
    talk->wire = redis_wire_new(talk->base, ends[0], NULL, "redis", &config);
    assert_non_null(talk->wire);
    while (talk->opens == 0)
        event_base_loop(talk->base, EVLOOP_ONCE);
}

static void ask(struct talk *talk)
{
    const struct redis_wire_call call = {.own = false};
    const char *words[] = {"GET", "x"};
    const size_t bytes[] = {3, 1};
    assert_int_equal(redis_wire_send(talk->wire, &call, 2, words, bytes), 0);
}

static void stop_talk(struct talk *talk)
{
    redis_wire_free(talk->wire);
    event_base_loop(talk->base, EVLOOP_NONBLOCK);
    close(talk->peer);
    event_base_free(talk->base);
}

/* Says it in full, unless the wire ends before. Returns how much the wire has been sent. */
static size_t say(struct talk *talk, const char *text, size_t bytes)
{
    size_t sent = 0;
    while (sent < bytes && talk->ends == 0) {
        ssize_t n = send(talk->peer, text + sent, bytes - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else
            assert_int_equal(errno, EAGAIN);
        event_base_loop(talk->base, EVLOOP_NONBLOCK);
    }
    return sent;
}

static size_t say_long(struct talk *talk, size_t bytes)
{
    char *chunk = malloc(CHUNK_BYTES);
    size_t sent = 0;
    assert_non_null(chunk);
    memset(chunk, 'z', CHUNK_BYTES);
    while (sent < bytes && talk->ends == 0)
        sent += say(talk, chunk, bytes - sent < CHUNK_BYTES ? bytes - sent : CHUNK_BYTES);
    free(chunk);
    return sent;
}

static void refuses_answers_without_end(void **state)
{
    struct talk talk;
    (void)state;
    begin(&talk);
    ask(&talk);
    (void)say(&talk, "$100000000\r\n", 12);
    size_t sent = say_long(&talk, 100000000);
    assert_int_equal(talk.ends, 1);
    require(strstr(talk.why, "64 MiB") != NULL, "%s", talk.why);
    require(sent + 12 > REDIS_WIRE_MAX_BYTES, "ended after %zu bytes", sent);
    assert_int_equal(talk.nulls, 0);
    stop_talk(&talk);
    assert_int_equal(talk.nulls, 1);
    assert_int_equal(talk.answers, 0);
}

/* The bound is on one answer, not on all that came. */
static void takes_many_long_answers(void **state)
{
    const size_t long_bytes = REDIS_WIRE_MAX_BYTES / 2 + CHUNK_BYTES;
    struct talk talk;
    char head[32];
    (void)state;
    begin(&talk);
    for (unsigned i = 1; i <= 2; i++) {
        ask(&talk);
        (void)say(&talk, head, (size_t)sprintf(head, "$%zu\r\n", long_bytes));
        (void)say_long(&talk, long_bytes);
        (void)say(&talk, "\r\n", 2);
        while (talk.answers < i && talk.ends == 0)
            event_base_loop(talk.base, EVLOOP_ONCE);
        require(talk.ends == 0, "%s", talk.why);
    }
    assert_int_equal(talk.longest_bytes, long_bytes);
    stop_talk(&talk);
    assert_int_equal(talk.nulls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_answers_without_end),
        cmocka_unit_test(takes_many_long_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

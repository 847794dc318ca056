#include "unit.h"

#include "daemon/events.h"
#include "daemon/log.h"
#include "redis/redis_link.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>

/* A Redis that answers as a test wants, on the same loop. */
struct fake {
    struct event_base *base;
    struct evconnlistener *listener;
    struct redis_link *link;
    const char *role, *greeting, *answer; /* to ROLE, EXISTS, anything else */
    const char *password;                 /* "": none is wanted */
    unsigned accepted, roles, ups, downs, answers, replies;
    char why[200];
    struct event *limit;
    bool late;
};

#define PRIMARY "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define REPLICA "*5\r\n$5\r\nslave\r\n$8\r\n10.1.2.3\r\n:6379\r\n$9\r\nconnected\r\n:1\r\n"

static void on_read(struct bufferevent *peer, void *user)
{
    struct fake *fake = user;
    struct evbuffer *in = bufferevent_get_input(peer);
    char *line;
    /* The words that are asked for are alone on their lines. */
    while ((line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF)) != NULL) {
        const char *answer = NULL;
        if (strcmp(line, "ROLE") == 0) {
            fake->roles++;
            answer = fake->role;
        } else if (strcmp(line, "EXISTS") == 0) {
            answer = fake->greeting;
        } else if (strcmp(line, "GET") == 0) {
            fake->answers++;
            answer = fake->answer;
        } else if (fake->password[0] != '\0' && strcmp(line, fake->password) == 0) {
            answer = "+OK\r\n";
        } else if (strncmp(line, "wrong", 5) == 0) {
            answer = "-WRONGPASS no\r\n";
        }
        if (answer != NULL)
            bufferevent_write(peer, answer, strlen(answer));
        free(line);
    }
}

static void on_event(struct bufferevent *peer, short what, void *user)
{
    (void)what;
    (void)user;
    bufferevent_free(peer);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int bytes, void *user)
{
    struct fake *fake = user;
    (void)listener;
    (void)from;
    (void)bytes;
    fake->accepted++;
    struct bufferevent *peer = bufferevent_socket_new(fake->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(peer, on_read, NULL, on_event, fake);
    bufferevent_enable(peer, EV_READ | EV_WRITE);
}

static void on_reply(void *user, const redisReply *data)
{
    struct fake *fake = user;
    fake->replies += data != NULL;
}

static void ask(struct fake *fake)
{
    const char *words[] = {"GET", "x"};
    const size_t bytes[] = {3, 1};
    assert_int_equal(redis_link_send(fake->link, on_reply, fake, 2, words, bytes), 0);
}

static void on_up(void *user)
{
    struct fake *fake = user;
    fake->ups++;
}

static void on_down(void *user, const char *why)
{
    struct fake *fake = user;
    fake->downs++;
    snprintf(fake->why, sizeof fake->why, "%s", why);
}

static void on_limit(evutil_socket_t fd, short what, void *user)
{
    struct fake *fake = user;
    (void)fd;
    (void)what;
    fake->late = true;
}

static struct fake begin(void)
{
    return (struct fake){.role = PRIMARY, .greeting = ":1\r\n", .answer = ":7\r\n", .password = ""};
}

static void start(struct fake *fake, const char *password)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ev_socklen_t bytes = sizeof at;
    log_init("test", LOG_LEVEL_ERROR);
    fake->base = event_base_new();
    fake->listener = evconnlistener_new_bind(fake->base, on_accept, fake,
                                             LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
                                             (struct sockaddr *)&at, sizeof at);
    assert_non_null(fake->listener);
    getsockname(evconnlistener_get_fd(fake->listener), (struct sockaddr *)&at, &bytes);
    const struct redis_link_config config = {
        .host = "127.0.0.1",
        .port = ntohs(at.sin_port),
        .password = password,
        .on_up = on_up,
        .on_down = on_down,
        .user = fake,
    };
    fake->link = redis_link_new(fake->base, &config);
    fake->limit = evtimer_new(fake->base, on_limit, fake);
    events_arm(fake->limit, 30000);
}

/* Turns the loop until it is so. */
#define UNTIL(fake, condition)                                                                     \
    do {                                                                                           \
        while (!(condition) && !(fake)->late)                                                      \
            event_base_loop((fake)->base, EVLOOP_ONCE);                                            \
        assert_true(condition);                                                                    \
    } while (0)

static void stop(struct fake *fake)
{
    redis_link_free(fake->link);
    evconnlistener_free(fake->listener);
    event_base_loop(fake->base, EVLOOP_NONBLOCK); /* ends the fake's side */
    event_free(fake->limit);
    event_base_free(fake->base);
}

static void asks_a_primary_each_second(void **state)
{
    struct fake fake = begin();
    (void)state;
    start(&fake, NULL);
    assert_string_not_equal(redis_link_why(fake.link), "");
    UNTIL(&fake, fake.ups == 1);
    assert_string_equal(redis_link_why(fake.link), "");
    ask(&fake);
    UNTIL(&fake, fake.replies == 1);
    UNTIL(&fake, fake.roles == 3);
    assert_int_equal(fake.accepted, 1);
    /* Demoted, and nobody writes. */
    fake.role = REPLICA;
    UNTIL(&fake, fake.downs == 1);
    assert_non_null(strstr(fake.why, "replica of 10.1.2.3:6379"));
    /* It tries again and again, and is never up. */
    UNTIL(&fake, fake.accepted == 4);
    assert_int_equal(fake.ups, 1);
    assert_non_null(strstr(redis_link_why(fake.link), "replica of 10.1.2.3:6379"));
    fake.role = PRIMARY;
    UNTIL(&fake, fake.ups == 2);
    stop(&fake);
}

static void leaves_a_server_for_what_it_answers(void **state)
{
    static const char *const leaving[] = {
        "-READONLY You can't write against a read only replica.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
        "-UNBLOCKED force unblock from blocking operation\r\n",
        "-NOREPLICAS Not enough good replicas to write.\r\n",
        "*3\r\n$5\r\nerror\r\n$10\r\nREADONLY x\r\n:0\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof leaving / sizeof leaving[0]; i++) {
        struct fake fake = begin();
        start(&fake, NULL);
        fake.answer = leaving[i];
        UNTIL(&fake, fake.ups == 1);
        ask(&fake);
        UNTIL(&fake, fake.downs == 1);
        assert_int_equal(fake.replies, 1); /* the owner heard it, too */
        UNTIL(&fake, fake.ups == 2);
        stop(&fake);
    }
}

static void stays_for_all_else(void **state)
{
    static const char *const staying[] = {
        "-OOM command not allowed\r\n",
        "-TRYAGAIN Multiple keys\r\n",
        "-MISCONF x\r\n",
        "-BUSY x\r\n",
        "-ERR READONLY\r\n",
        "-READONLYISH x\r\n",
        "$10\r\nREADONLY x\r\n",
        "*2\r\n$1\r\na\r\n$10\r\nREADONLY x\r\n",
        "*0\r\n",
    };
    struct fake fake = begin();
    (void)state;
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    for (unsigned i = 0; i < sizeof staying / sizeof staying[0]; i++) {
        fake.answer = staying[i];
        ask(&fake);
        UNTIL(&fake, fake.replies == i + 1);
        event_base_loop(fake.base, EVLOOP_NONBLOCK);
        assert_true(redis_link_up(fake.link));
    }
    assert_int_equal(fake.downs, 0);
    stop(&fake);
}

static void leaves_one_without_replicas_now_and_then(void **state)
{
    struct fake fake = begin();
    (void)state;
    start(&fake, NULL);
    fake.answer = "-NOREPLICAS x\r\n";
    UNTIL(&fake, fake.ups == 1);
    ask(&fake);
    UNTIL(&fake, fake.ups == 2);
    ask(&fake); /* well within 2 s */
    UNTIL(&fake, fake.replies == 2);
    event_base_loop(fake.base, EVLOOP_NONBLOCK);
    assert_int_equal(fake.downs, 1);
    stop(&fake);
}

static void is_not_up_while_it_loads(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.greeting = "-LOADING Redis is loading\r\n";
    start(&fake, NULL);
    UNTIL(&fake, fake.accepted == 3);
    assert_int_equal(fake.ups, 0);
    assert_non_null(strstr(redis_link_why(fake.link), "LOADING"));
    fake.greeting = ":0\r\n";
    UNTIL(&fake, fake.ups == 1);
    stop(&fake);
}

static void takes_one_that_may_not_say_for_a_primary(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.role = "-NOPERM this user has no permissions to run the 'role' command\r\n";
    fake.greeting = "-NOPERM no\r\n";
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    UNTIL(&fake, fake.roles == 3);
    assert_int_equal(fake.downs, 0);
    stop(&fake);
}

static void uses_another_password_at_once(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.password = "right";
    start(&fake, "wrong-one");
    UNTIL(&fake, fake.accepted == 2);
    assert_int_equal(fake.ups, 0);
    assert_non_null(strstr(redis_link_why(fake.link), "WRONGPASS"));
    assert_int_equal(redis_link_set_password(fake.link, "wrong-one"), 0);
    assert_int_equal(redis_link_set_password(fake.link, "right"), 1);
    UNTIL(&fake, fake.ups == 1);
    assert_int_equal(redis_link_set_password(fake.link, "right"), 0);
    assert_int_equal(fake.downs, 0);
    assert_int_equal(redis_link_set_password(fake.link, NULL), 1);
    UNTIL(&fake, fake.ups == 2 && fake.downs == 1);
    stop(&fake);
}

static void judges_roles(void **state)
{
    struct error why = {0};
    redisReply role = {.type = REDIS_REPLY_STRING, .str = (char *)"sentinel", .len = 8};
    redisReply *elements[] = {&role};
    redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 1, .element = elements};
    (void)state;
    assert_int_equal(redis_link_judge_role(&reply, &why), -1);
    assert_non_null(strstr(why.text, "Sentinel"));
    role.str = (char *)"master";
    assert_int_equal(redis_link_judge_role(&reply, &why), 0);
    role.str = (char *)"slave";
    assert_int_equal(redis_link_judge_role(&reply, &why), -1);
    assert_string_equal(why.text, "it is a replica, not a primary");
    reply.elements = 0;
    assert_int_equal(redis_link_judge_role(&reply, &why), 1);
    reply.type = REDIS_REPLY_ERROR;
    assert_int_equal(redis_link_judge_role(&reply, &why), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_a_primary_each_second),
        cmocka_unit_test(leaves_a_server_for_what_it_answers),
        cmocka_unit_test(stays_for_all_else),
        cmocka_unit_test(leaves_one_without_replicas_now_and_then),
        cmocka_unit_test(is_not_up_while_it_loads),
        cmocka_unit_test(takes_one_that_may_not_say_for_a_primary),
        cmocka_unit_test(uses_another_password_at_once),
        cmocka_unit_test(judges_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "daemon/events.h"
#include "daemon/log.h"
#include "redis/redis_answer.h"
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
    struct bufferevent *peer; /* the last that was accepted */
    unsigned nulls, messages;
    char commands[4000]; /* words that came, each followed by a space */
    void (*on_reply)(struct fake *fake, const redisReply *reply);
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
        size_t used = strlen(fake->commands);
        if (line[0] != '*' && line[0] != '$' && used + strlen(line) + 2 < sizeof fake->commands)
            sprintf(fake->commands + used, "%s ", line);
        if (strcmp(line, "ROLE") == 0) {
            fake->roles++;
            answer = fake->role;
        } else if (strcmp(line, "EXISTS") == 0) {
            answer = fake->greeting;
        } else if (strcmp(line, "GET") == 0) {
            fake->answers++;
            answer = fake->answer;
        } else if (strcmp(line, "SELECT") == 0 ||
                   (fake->password[0] != '\0' && strcmp(line, fake->password) == 0)) {
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
    struct fake *fake = user;
    (void)what;
    if (fake->peer == peer)
        fake->peer = NULL;
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
    fake->peer = peer;
    bufferevent_setcb(peer, on_read, NULL, on_event, fake);
    bufferevent_enable(peer, EV_READ | EV_WRITE);
}

static void on_reply(void *user, const redisReply *data)
{
    struct fake *fake = user;
    fake->replies += data != NULL;
    fake->nulls += data == NULL;
    if (fake->on_reply != NULL)
        fake->on_reply(fake, data);
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

static void start_as(struct fake *fake, struct redis_link_config config)
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
    config.host = config.host != NULL ? config.host : "127.0.0.1";
    config.port = ntohs(at.sin_port);
    config.on_up = on_up;
    config.on_down = on_down;
    config.user = fake;
    fake->link = redis_link_new(fake->base, &config);
    fake->limit = evtimer_new(fake->base, on_limit, fake);
    events_arm(fake->limit, 30000);
}

static void start(struct fake *fake, const char *password)
{
    start_as(fake, (struct redis_link_config){.password = password});
}

/* Turns the loop until it is so. */
#define UNTIL(fake, condition)                                                                     \
    do {                                                                                           \
        while (!(condition) && !(fake)->late)                                                      \
            event_base_loop((fake)->base, EVLOOP_ONCE);                                            \
        assert_true(condition);                                                                    \
    } while (0)

static void stop_fake(struct fake *fake)
{
    redis_link_free(fake->link);
    evconnlistener_free(fake->listener);
    event_base_loop(fake->base, EVLOOP_NONBLOCK); /* ends the fake's side */
    if (fake->peer != NULL)                       /* it has not heard of the end yet */
        bufferevent_free(fake->peer);
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
    stop_fake(&fake);
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
        stop_fake(&fake);
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
    stop_fake(&fake);
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
    stop_fake(&fake);
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
    stop_fake(&fake);
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
    stop_fake(&fake);
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
    stop_fake(&fake);
}

/* --- the form of answers --- */

static void say(struct fake *fake, const char *text)
{
    bufferevent_write(fake->peer, text, strlen(text));
}

static void check_parts(struct fake *fake, const redisReply *reply)
{
    (void)fake;
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    assert_int_equal(reply->elements, 3);
    assert_string_equal(reply->element[0]->str, "split");
    assert_int_equal(reply->element[1]->integer, -12);
    assert_int_equal(reply->element[2]->type, REDIS_REPLY_NIL);
}

/* Each byte arrives by itself. */
static void puts_split_answers_together(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.answer = "";
    fake.on_reply = check_parts;
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    ask(&fake);
    UNTIL(&fake, fake.answers == 1);
    for (const char *at = "*3\r\n$5\r\nsplit\r\n:-12\r\n$-1\r\n"; *at != '\0'; at++) {
        assert_int_equal(fake.replies, 0);
        bufferevent_write(fake.peer, at, 1);
        for (int i = 0; i < 3; i++)
            event_base_loop(fake.base, EVLOOP_NONBLOCK);
    }
    UNTIL(&fake, fake.replies == 1);
    assert_int_equal(redis_link_awaited(fake.link), 0);
    stop_fake(&fake);
}

struct numbered {
    struct fake *fake;
    unsigned number, *next;
};

static void on_numbered(void *user, const redisReply *reply)
{
    struct numbered *numbered = user;
    assert_int_equal(numbered->number, (*numbered->next)++);
    on_reply(numbered->fake, reply);
}

static void answers_in_order(void **state)
{
    enum { MANY = 5000 };
    static struct numbered numbered[MANY];
    const char *words[] = {"GET", "x"};
    const size_t bytes[] = {3, 1};
    unsigned next = 0;
    struct fake fake = begin();
    (void)state;
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    for (unsigned i = 0; i < MANY; i++) {
        numbered[i] = (struct numbered){&fake, i, &next};
        assert_int_equal(redis_link_send(fake.link, on_numbered, &numbered[i], 2, words, bytes), 0);
    }
    assert_int_equal(redis_link_awaited(fake.link), MANY);
    UNTIL(&fake, fake.replies == MANY);
    assert_int_equal(redis_link_awaited(fake.link), 0);
    stop_fake(&fake);
}

static void check_long(struct fake *fake, const redisReply *reply)
{
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_int_equal(reply->len, 8 << 20);
    assert_int_equal(reply->str[reply->len - 1], 'z');
    fake->messages++;
}

static void takes_long_answers(void **state)
{
    struct fake fake = begin();
    char *text = malloc(9 << 20);
    (void)state;
    assert_non_null(text);
    int head = sprintf(text, "$%d\r\n", 8 << 20);
    memset(text + head, 'z', 8 << 20);
    memcpy(text + head + (8 << 20), "\r\n", 3);
    fake.answer = text;
    fake.on_reply = check_long;
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    ask(&fake);
    ask(&fake);
    UNTIL(&fake, fake.messages == 2);
    stop_fake(&fake);
    free(text);
}

static void leaves_what_does_not_speak_redis(void **state)
{
    static const struct {
        const char *said, *why;
    } rows[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol"},
        {"$x\r\n", "protocol"},
        {"*99999999999999\r\n", "protocol"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake fake = begin();
        fake.answer = rows[i].said;
        start(&fake, NULL);
        UNTIL(&fake, fake.ups == 1);
        ask(&fake);
        UNTIL(&fake, fake.downs == 1);
        require(strstr(fake.why, rows[i].why) != NULL, "%s: %s", rows[i].said, fake.why);
        assert_int_equal(fake.nulls, 1);
        stop_fake(&fake);
    }
}

static void leaves_one_that_answers_unasked(void **state)
{
    struct fake fake = begin();
    (void)state;
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    say(&fake, ":1\r\n");
    UNTIL(&fake, fake.downs == 1);
    assert_non_null(strstr(fake.why, "without a request"));
    stop_fake(&fake);
}

static void names_a_port_of_tls(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.role = "\x15\x03\x03\x00\x02\x02\x46";
    start(&fake, NULL);
    UNTIL(&fake, fake.accepted == 2);
    assert_non_null(strstr(redis_link_why(fake.link), "rediss://"));
    stop_fake(&fake);
}

/* --- the end of a connection --- */

static void calls_back_before_it_is_down(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.answer = "";
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    for (int i = 0; i < 3; i++)
        ask(&fake);
    UNTIL(&fake, fake.answers == 3);
    bufferevent_free(fake.peer);
    fake.peer = NULL;
    UNTIL(&fake, fake.nulls == 3);
    UNTIL(&fake, fake.downs == 1);
    assert_int_equal(redis_link_awaited(fake.link), 0);
    UNTIL(&fake, fake.ups == 2);
    stop_fake(&fake);
}

/* Half-open: the other side hears all and says nothing. */
static void leaves_a_silent_server(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.answer = "";
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    bufferevent_disable(fake.peer, EV_READ);
    ask(&fake);
    UNTIL(&fake, fake.downs == 1);
    assert_int_equal(redis_link_timeouts(fake.link), 1);
    assert_int_equal(fake.nulls, 1);
    stop_fake(&fake);
}

static void try_everything(struct fake *fake, const redisReply *reply)
{
    const char *words[] = {"GET", "x"};
    const size_t bytes[] = {3, 1};
    if (reply != NULL)
        return;
    assert_false(redis_link_up(fake->link));
    assert_int_equal(redis_link_send(fake->link, on_reply, fake, 2, words, bytes), -1);
    redis_link_reset(fake->link, "while it ends");
}

static void refuses_commands_while_it_ends(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.answer = "";
    fake.on_reply = try_everything;
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    ask(&fake);
    ask(&fake);
    redis_link_reset(fake.link, "so it wants");
    assert_int_equal(
        redis_link_send(fake.link, NULL, NULL, 1, (const char *[]){"GET"}, (const size_t[]){3}),
        -1);
    assert_int_equal(fake.nulls, 0); /* not before the loop turns */
    UNTIL(&fake, fake.downs == 1);
    assert_int_equal(fake.nulls, 2);
    assert_string_equal(fake.why, "so it wants");
    UNTIL(&fake, fake.ups == 2);
    stop_fake(&fake);
}

static void free_it(struct fake *fake, const redisReply *reply)
{
    (void)reply;
    redis_link_free(fake->link);
    fake->link = NULL;
    fake->on_reply = NULL;
}

/* In the callback of an answer, more answers in the same packet. */
static void can_be_freed_by_an_answer(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.answer = "";
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    for (int i = 0; i < 4; i++)
        ask(&fake);
    UNTIL(&fake, fake.answers == 4);
    fake.on_reply = free_it;
    say(&fake, ":1\r\n:2\r\n:3\r\n");
    UNTIL(&fake, fake.link == NULL);
    assert_int_equal(fake.replies, 1);
    assert_int_equal(fake.nulls, 3);
    assert_int_equal(fake.downs, 0);
    stop_fake(&fake);
}

/* In the callback that says that an answer will not come. */
static void can_be_freed_while_it_ends(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.answer = "";
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    ask(&fake);
    ask(&fake);
    UNTIL(&fake, fake.answers == 2);
    fake.on_reply = free_it;
    bufferevent_free(fake.peer);
    fake.peer = NULL;
    UNTIL(&fake, fake.link == NULL);
    assert_int_equal(fake.nulls, 2);
    assert_int_equal(fake.downs, 0);
    stop_fake(&fake);
}

static void reset_it(struct fake *fake, const redisReply *reply)
{
    if (reply != NULL)
        redis_link_reset(fake->link, "an answer without sense");
}

static void hands_out_nothing_after_a_reset(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.answer = "";
    fake.on_reply = reset_it;
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    ask(&fake);
    ask(&fake);
    UNTIL(&fake, fake.answers == 2);
    say(&fake, ":1\r\n:2\r\n");
    UNTIL(&fake, fake.downs == 1);
    assert_int_equal(fake.replies, 1);
    assert_int_equal(fake.nulls, 1);
    stop_fake(&fake);
}

static void bounds_what_waits(void **state)
{
    struct fake fake = begin();
    char *text = calloc(1, 1 << 20);
    const char *words[] = {"SET", text};
    const size_t bytes[] = {3, 1 << 20};
    unsigned taken = 0;
    (void)state;
    assert_non_null(text);
    start(&fake, NULL);
    UNTIL(&fake, fake.ups == 1);
    while (taken < 100 && redis_link_send(fake.link, on_reply, &fake, 2, words, bytes) == 0)
        taken++;
    assert_int_equal(taken, 63); /* 64 MiB, with the words around them */
    assert_int_equal(redis_link_awaited(fake.link), 63);
    stop_fake(&fake);
    assert_int_equal(fake.nulls, 63);
    free(text);
}

/* --- subscribing --- */

static void on_message(void *user, const redisReply *reply)
{
    struct fake *fake = user;
    assert_non_null(reply);
    fake->messages++;
}

static void hands_every_message_out(void **state)
{
    static const char *const messages[] = {
        "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n",
        "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\n7\r\n",
        "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\n7\r\n",
        "-MOVED 5 127.0.0.1:7\r\n",
    };
    const char *words[] = {"SSUBSCRIBE", "a"};
    const size_t bytes[] = {10, 1};
    struct fake fake = begin();
    (void)state;
    start_as(&fake, (struct redis_link_config){.on_message = on_message});
    UNTIL(&fake, fake.ups == 1);
    assert_int_equal(redis_link_send(fake.link, NULL, NULL, 2, words, bytes), 0);
    assert_int_equal(redis_link_awaited(fake.link), 0);
    for (unsigned i = 0; i < COUNT_OF(messages); i++) {
        say(&fake, messages[i]);
        UNTIL(&fake, fake.messages == i + 1);
    }
    assert_int_equal(fake.downs, 0);
    stop_fake(&fake);
    assert_int_equal(fake.messages, COUNT_OF(messages));
}

/* --- the greeting, and names --- */

static void greets_as_it_is_told(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.password = "secret";
    start_as(&fake, (struct redis_link_config){
                        .username = "alice", .password = "secret", .db = 12, .prefix = "b:"});
    UNTIL(&fake, fake.ups == 1);
    assert_string_equal(fake.commands, "AUTH alice secret SELECT 12 ROLE EXISTS b:store ");
    stop_fake(&fake);
}

static void does_not_repeat_the_password(void **state)
{
    struct fake fake = begin();
    (void)state;
    fake.password = "-ERR unknown command 'AUTH', with args beginning with: 'secret'";
    start(&fake, "wrong");
    UNTIL(&fake, fake.accepted == 2);
    assert_non_null(strstr(redis_link_why(fake.link), "WRONGPASS"));
    stop_fake(&fake);
    assert_string_equal(redis_answer_auth(fake.password + 1), "it refuses the command AUTH");
}

/* `localhost` may mean ::1 first, where nobody listens. */
static void tries_every_address_of_a_name(void **state)
{
    struct fake fake = begin();
    (void)state;
    start_as(&fake, (struct redis_link_config){.host = "localhost"});
    UNTIL(&fake, fake.ups == 1);
    stop_fake(&fake);
}

static void names_a_name_that_there_is_not(void **state)
{
    struct fake fake = begin();
    (void)state;
    start_as(&fake, (struct redis_link_config){.host = "nowhere.invalid"});
    UNTIL(&fake, strstr(redis_link_why(fake.link), "nowhere.invalid") != NULL ||
                     strstr(redis_link_why(fake.link), "the name to be resolved") != NULL);
    stop_fake(&fake); /* a lookup that is still under way is left behind */
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
        cmocka_unit_test(puts_split_answers_together),
        cmocka_unit_test(answers_in_order),
        cmocka_unit_test(takes_long_answers),
        cmocka_unit_test(leaves_what_does_not_speak_redis),
        cmocka_unit_test(leaves_one_that_answers_unasked),
        cmocka_unit_test(names_a_port_of_tls),
        cmocka_unit_test(calls_back_before_it_is_down),
        cmocka_unit_test(leaves_a_silent_server),
        cmocka_unit_test(refuses_commands_while_it_ends),
        cmocka_unit_test(can_be_freed_by_an_answer),
        cmocka_unit_test(can_be_freed_while_it_ends),
        cmocka_unit_test(hands_out_nothing_after_a_reset),
        cmocka_unit_test(bounds_what_waits),
        cmocka_unit_test(hands_every_message_out),
        cmocka_unit_test(greets_as_it_is_told),
        cmocka_unit_test(does_not_repeat_the_password),
        cmocka_unit_test(tries_every_address_of_a_name),
        cmocka_unit_test(names_a_name_that_there_is_not),
        cmocka_unit_test(judges_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

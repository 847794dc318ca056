/* Servers that answer as a test wants, on the tested module's loop. Include it after unit.h. */
#ifndef TALLY_TESTS_REDIS_SERVERS_H
#define TALLY_TESTS_REDIS_SERVERS_H

#include "redis/redis_map.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>

#define SERVERS 5
#define PEERS 24

enum kind { ALONE, CLUSTERED, SENTINEL };

struct servers;

struct server {
    struct servers *all;
    struct evconnlistener *listener;
    struct bufferevent *peer[PEERS], *subscriber; /* subscriber: the last; NULL none */
    int port;
    enum kind kind;
    bool replica, hung;
    bool holds;                          /* GET: what it says from then on stays with it */
    struct bufferevent *held;            /* … to this peer; NULL none */
    unsigned connections, at_once;       /* accepted so far; at_once: the most of them at a time */
    unsigned epoch, owner[REDIS_PLACES]; /* what it says: servers */
    unsigned *asked;                     /* counts the questions who owns what; NULL: nobody does */
    const char *answer;                  /* to GET; NULL: its own number */
};

struct servers {
    struct event_base *base;
    struct server server[SERVERS];
    unsigned slots[REDIS_PLACES];
};

static inline unsigned server_number(const struct server *server)
{
    return (unsigned)(server - server->all->server);
}

static inline void server_says_slots(const struct server *server, struct evbuffer *out)
{
    evbuffer_add_printf(out, "*%d\r\n", REDIS_PLACES);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        evbuffer_add_printf(out, "*4\r\n:%u\r\n:%u\r\n*2\r\n$0\r\n\r\n:%d\r\n*2\r\n$-1\r\n:%d\r\n",
                            server->all->slots[place], server->all->slots[place],
                            server->all->server[server->owner[place]].port,
                            server->all->server[4].port);
}

static inline void server_says_bulk(struct evbuffer *out, const char *text)
{
    evbuffer_add_printf(out, "$%zu\r\n%s\r\n", strlen(text), text);
}

static inline void server_says_cluster(const struct server *server, const char *what,
                                       struct evbuffer *out)
{
    char info[100];
    if (server->kind != CLUSTERED) {
        evbuffer_add_printf(out, "-ERR This instance has cluster support disabled\r\n");
    } else if (strcmp(what, "INFO") == 0) {
        snprintf(info, sizeof info, "cluster_state:ok\r\ncluster_current_epoch:%u\r\n",
                 server->epoch);
        server_says_bulk(out, info);
    } else {
        if (server->asked != NULL)
            ++*server->asked;
        server_says_slots(server, out);
    }
}

static inline void server_says_sentinel(const struct server *server, const char *what,
                                        struct evbuffer *out)
{
    char text[16];
    if (strcmp(what, "MASTER") == 0) {
        evbuffer_add_printf(out, "*2\r\n$12\r\nconfig-epoch\r\n");
        snprintf(text, sizeof text, "%u", server->epoch);
        server_says_bulk(out, text);
        return;
    }
    evbuffer_add_printf(out, "*2\r\n$9\r\n127.0.0.1\r\n");
    snprintf(text, sizeof text, "%d", server->all->server[server->owner[0]].port);
    server_says_bulk(out, text);
}

static inline void server_say(const struct server *server, const redisReply *asked,
                              struct evbuffer *out)
{
    const char *word = asked->element[0]->str;
    const char *second = asked->elements > 1 ? asked->element[1]->str : "";
    if (strcmp(word, "ROLE") == 0 && server->kind == SENTINEL)
        evbuffer_add_printf(out, "*2\r\n$8\r\nsentinel\r\n*0\r\n");
    else if (strcmp(word, "ROLE") == 0)
        evbuffer_add_printf(out, server->replica ? "*1\r\n$5\r\nslave\r\n"
                                                 : "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    else if (strcmp(word, "EXISTS") == 0)
        evbuffer_add_printf(out, ":0\r\n");
    else if (strcmp(word, "CLUSTER") == 0)
        server_says_cluster(server, second, out);
    else if (strcmp(word, "SENTINEL") == 0)
        server_says_sentinel(server, second, out);
    else if (strcmp(word, "SSUBSCRIBE") == 0)
        evbuffer_add_printf(out, "*3\r\n$10\r\nssubscribe\r\n$1\r\nx\r\n:1\r\n");
    else if (server->answer != NULL)
        evbuffer_add_printf(out, "%s", server->answer);
    else
        evbuffer_add_printf(out, ":%u\r\n", server_number(server));
}

/* Each read has whole commands: they are short, and sent at once. */
static inline void server_on_read(struct bufferevent *peer, void *user)
{
    struct server *server = user;
    struct evbuffer *in = bufferevent_get_input(peer);
    redisReader *reader;
    void *asked = NULL;
    if (server->hung)
        return;
    reader = redisReaderCreate();
    size_t bytes = evbuffer_get_length(in);
    redisReaderFeed(reader, (const char *)evbuffer_pullup(in, -1), bytes);
    evbuffer_drain(in, bytes);
    while (redisReaderGetReply(reader, &asked) == REDIS_OK && asked != NULL) {
        if (server->holds && strcmp(((redisReply *)asked)->element[0]->str, "GET") == 0) {
            bufferevent_disable(peer, EV_WRITE);
            server->held = peer;
        }
        server_say(server, asked, bufferevent_get_output(peer));
        if (strcmp(((redisReply *)asked)->element[0]->str, "SSUBSCRIBE") == 0)
            server->subscriber = peer;
        freeReplyObject(asked);
    }
    redisReaderFree(reader);
}

static inline void server_forget(struct server *server, struct bufferevent *peer)
{
    for (unsigned i = 0; i < PEERS; i++)
        if (server->peer[i] == peer)
            server->peer[i] = NULL;
    if (server->subscriber == peer)
        server->subscriber = NULL;
    if (server->held == peer)
        server->held = NULL;
    bufferevent_free(peer);
}

static inline void server_on_event(struct bufferevent *peer, short what, void *user)
{
    (void)what;
    server_forget(user, peer);
}

/* Says what it held. */
static inline void server_let_go(struct server *server)
{
    if (server->held != NULL)
        bufferevent_enable(server->held, EV_WRITE);
    server->held = NULL;
}

/* Ends the connection that subscribed last; the others stay. */
static inline void server_drop_subscriber(struct server *server)
{
    assert_non_null(server->subscriber);
    server_forget(server, server->subscriber);
}

static inline void server_on_accept(struct evconnlistener *listener, evutil_socket_t fd,
                                    struct sockaddr *from, int bytes, void *user)
{
    struct server *server = user;
    unsigned i = 0, open = 1;
    (void)listener;
    (void)from;
    (void)bytes;
    while (i < PEERS - 1 && server->peer[i] != NULL)
        i++;
    assert_null(server->peer[i]);
    server->peer[i] = bufferevent_socket_new(server->all->base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(server->peer[i], server_on_read, NULL, server_on_event, server);
    bufferevent_enable(server->peer[i], EV_READ | EV_WRITE);
    for (unsigned k = 0; k < PEERS; k++)
        open += k != i && server->peer[k] != NULL;
    server->connections++;
    server->at_once = open > server->at_once ? open : server->at_once;
}

static inline void server_die(struct server *server)
{
    if (server->listener != NULL)
        evconnlistener_free(server->listener);
    server->listener = NULL;
    for (unsigned i = 0; i < PEERS; i++)
        if (server->peer[i] != NULL)
            bufferevent_free(server->peer[i]);
    memset(server->peer, 0, sizeof server->peer);
    server->subscriber = server->held = NULL;
}

/* On another port than before. */
static inline void server_live(struct server *server)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ev_socklen_t bytes = sizeof at;
    server->listener = evconnlistener_new_bind(server->all->base, server_on_accept, server,
                                               LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1,
                                               (struct sockaddr *)&at, sizeof at);
    assert_non_null(server->listener);
    getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&at, &bytes);
    server->port = ntohs(at.sin_port);
}

static inline void servers_begin(struct servers *all, struct event_base *base)
{
    all->base = base;
    redis_map_slots(all->slots, "tally:");
    for (unsigned i = 0; i < SERVERS; i++) {
        all->server[i].all = all;
        server_live(&all->server[i]);
    }
}

#endif

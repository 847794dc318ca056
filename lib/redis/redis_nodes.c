/* Links by address, as the map needs them (redis_survey). All that changes is announced in one
 * place, settle: callbacks of links only note what happened. No link is freed in a callback of one:
 * the tick does that. */
#include "redis/redis_nodes.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "redis/redis_survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURN_MS 1000  /* between two questions who owns what */
#define DOUBT_MS 250  /* the same, while a node is silent or nothing is known */
#define SOON_MS 50    /* after a sign that something has moved */
#define SILENT_MS 500 /* a former owner that has not answered for this long is dropped */
#define SEED_MS 1000  /* for a seed that does not come up, if there are others */
#define NAME_BYTES (REDIS_HOST_BYTES + 8)

struct node {
    struct redis_nodes *nodes;
    struct redis_link *link;     /* NULL: the number is free */
    struct redis_link *listener; /* NULL: none */
    struct redis_address at;
    struct redis_question question;
    uint64_t since_ms; /* made */
    bool lost;         /* the link was up and is not, and this is not announced yet */
    bool told;         /* on_node was called: up */
    bool wanted;       /* by the map, or as the seed to be tried */
    char name[NAME_BYTES];
};

struct redis_nodes {
    struct redis_nodes_config config; /* `link` has the copies, `url` is below */
    struct redis_url url;
    char *prefix, *username, *password;
    struct event_base *base;
    struct event *timer;
    struct redis_survey *survey;
    struct node node[REDIS_NODES_MAX];
    int owner[REDIS_PLACES];    /* as announced; -1 none */
    int listened[REDIS_PLACES]; /* on_subscribe was called for this node's listener; -1 none */
    uint64_t generation[REDIS_PLACES];
    uint64_t reconnects, timeouts; /* timeouts: of links that are gone */
    uint64_t asked_ms;             /* when a node was asked last */
    uint64_t due_ms;               /* of the timer */
    bool look;                     /* ask at the next tick */
    uint64_t doubt_ms;             /* until then, ask more often */
    unsigned turn, seed;           /* of the next node to ask; of the seed being tried */
    uint64_t seed_ms;              /* since when it is tried */
    bool settling, unsettled;
    char why[NAME_BYTES + 200];
};

static void settle(struct redis_nodes *nodes);

static bool is_up(const struct node *node)
{
    return node->link != NULL && !node->lost && redis_link_up(node->link);
}

static void tick_within(struct redis_nodes *nodes, uint64_t ms)
{
    uint64_t due_ms = clock_monotonic_ms() + ms;
    if (nodes->due_ms <= due_ms)
        return;
    nodes->due_ms = due_ms;
    events_arm(nodes->timer, ms);
}

static void look_soon(struct redis_nodes *nodes)
{
    nodes->look = true;
    nodes->doubt_ms = clock_monotonic_ms() + TURN_MS;
    tick_within(nodes, SOON_MS);
}

/* --- links --- */

static void on_up(void *user)
{
    struct node *node = user;
    struct redis_nodes *nodes = node->nodes;
    if (redis_survey_kind(nodes->survey) != REDIS_SURVEY_SENTINEL)
        redis_survey_ask(nodes->survey, &node->question, node->link, &node->at);
    settle(nodes);
}

static void on_down(void *user, const char *why)
{
    struct node *node = user;
    (void)why;
    node->lost = true;
    node->nodes->reconnects++;
    if (node->listener != NULL)
        redis_link_reset(node->listener, "the other connection to the server was lost");
    look_soon(node->nodes);
    settle(node->nodes);
}

static void on_listener_up(void *user)
{
    struct node *node = user;
    settle(node->nodes);
}

static void on_listener_down(void *user, const char *why)
{
    struct node *node = user;
    struct redis_nodes *nodes = node->nodes;
    (void)why;
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        if (nodes->listened[place] == (int)(node - nodes->node))
            nodes->listened[place] = -1;
}

static void on_message(void *user, const redisReply *reply)
{
    struct node *node = user;
    node->nodes->config.on_message(node->nodes->config.user, reply);
}

static struct redis_link_config pattern(const struct redis_nodes *nodes, struct node *node)
{
    struct redis_link_config link = nodes->config.link;
    link.host = node->at.host;
    link.port = node->at.port;
    link.user = node;
    return link;
}

static int open_links(struct redis_nodes *nodes, struct node *node)
{
    struct redis_link_config link = pattern(nodes, node);
    link.on_up = on_up;
    link.on_down = on_down;
    node->link = redis_link_new(nodes->base, &link);
    if (node->link == NULL)
        return -1;
    if (nodes->config.on_message == NULL)
        return 0;
    link.on_message = on_message;
    link.on_up = on_listener_up;
    link.on_down = on_listener_down;
    node->listener = redis_link_new(nodes->base, &link);
    if (node->listener != NULL)
        return 0;
    redis_link_free(node->link);
    node->link = NULL;
    return -1;
}

static struct node *find(struct redis_nodes *nodes, const struct redis_address *at)
{
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (nodes->node[i].link != NULL && redis_map_same(&nodes->node[i].at, at))
            return &nodes->node[i];
    return NULL;
}

/* The node at this address; it is made if need be. NULL: too many at the moment, or out of memory;
 * the next tick tries again. */
static struct node *need(struct redis_nodes *nodes, const struct redis_address *at)
{
    struct node *node = find(nodes, at);
    for (unsigned i = 0; node == NULL && i < REDIS_NODES_MAX; i++) {
        if (nodes->node[i].link != NULL)
            continue;
        node = &nodes->node[i];
        *node = (struct node){.nodes = nodes, .at = *at, .since_ms = clock_monotonic_ms()};
        snprintf(node->name, sizeof node->name, at->host[0] == '/' ? "%s" : "%s:%d", at->host,
                 at->port);
        if (open_links(nodes, node) != 0)
            return NULL;
    }
    if (node != NULL)
        node->wanted = true;
    return node;
}

/* --- what is announced --- */

static void tell_node(struct redis_nodes *nodes, struct node *node, bool up)
{
    if (node->told == up)
        return;
    node->told = up;
    if (nodes->config.on_node != NULL)
        nodes->config.on_node(nodes->config.user, (unsigned)(node - nodes->node), up);
}

static void tell_place(struct redis_nodes *nodes, unsigned place, int owner)
{
    if (nodes->owner[place] == owner)
        return;
    if (nodes->owner[place] >= 0) {
        nodes->owner[place] = -1;
        nodes->generation[place]++;
        nodes->config.on_place(nodes->config.user, place, false);
    }
    if (owner < 0 || !is_up(&nodes->node[owner]))
        return;
    nodes->owner[place] = owner;
    nodes->generation[place]++;
    nodes->config.on_place(nodes->config.user, place, true);
}

static void tell_lost(struct redis_nodes *nodes, struct node *node)
{
    int number = (int)(node - nodes->node);
    tell_node(nodes, node, false);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        if (nodes->owner[place] == number)
            tell_place(nodes, place, -1);
}

static void subscribe(struct redis_nodes *nodes, unsigned place)
{
    int owner = nodes->owner[place];
    if (nodes->listened[place] != owner)
        nodes->listened[place] = -1;
    if (owner < 0 || nodes->listened[place] == owner || nodes->config.on_subscribe == NULL ||
        nodes->node[owner].listener == NULL || !redis_link_up(nodes->node[owner].listener))
        return;
    nodes->listened[place] = owner;
    nodes->config.on_subscribe(nodes->config.user, nodes->node[owner].listener, place);
}

/* Makes the nodes that are wanted, and finds the owner of each place among those that are up. */
static void choose(struct redis_nodes *nodes, int owner[REDIS_PLACES])
{
    const struct redis_map *map = redis_survey_map(nodes->survey);
    int number[REDIS_NODES_MAX];
    enum redis_survey_kind kind = redis_survey_kind(nodes->survey);
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        nodes->node[i].wanted = false;
    for (unsigned i = 0; i < map->n; i++) {
        const struct node *node = need(nodes, &map->owner[i]);
        number[i] = node != NULL && is_up(node) ? (int)(node - nodes->node) : -1;
    }
    if (kind == REDIS_SURVEY_ONE || (kind == REDIS_SURVEY_UNKNOWN && nodes->url.seeds_n == 1)) {
        struct redis_address at;
        const struct redis_url_seed *seed = &nodes->url.seeds[nodes->seed];
        if ((map->n == 0 || number[0] < 0) && redis_map_address(&at, seed->host, seed->port))
            need(nodes, &at);
    }
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        owner[place] = map->of[place] >= 0 ? number[map->of[place]] : -1;
}

static void settle_once(struct redis_nodes *nodes)
{
    int owner[REDIS_PLACES];
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (nodes->node[i].lost) {
            nodes->node[i].lost = false;
            tell_lost(nodes, &nodes->node[i]);
        }
    choose(nodes, owner);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        if (owner[place] >= 0)
            tell_node(nodes, &nodes->node[owner[place]], true);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        tell_place(nodes, place, owner[place]);
    for (unsigned place = 0; place < REDIS_PLACE_STORE; place++)
        subscribe(nodes, place);
}

/* A callback of the user may cause more of the same: then it is done again. */
static void settle(struct redis_nodes *nodes)
{
    nodes->unsettled = true;
    if (nodes->settling)
        return;
    nodes->settling = true;
    while (nodes->unsettled) {
        nodes->unsettled = false;
        settle_once(nodes);
    }
    nodes->settling = false;
}

static void on_map(void *user)
{
    struct redis_nodes *nodes = user;
    settle(nodes);
    tick_within(nodes, 0); /* former owners */
}

/* --- the tick --- */

static void close_node(struct redis_nodes *nodes, struct node *node)
{
    struct redis_link *link = node->link;
    nodes->timeouts += redis_link_timeouts(link);
    node->lost = false;
    node->link = NULL; /* what is called back finds it down */
    redis_link_free(link);
    redis_link_free(node->listener);
    node->listener = NULL;
    tell_lost(nodes, node);
    on_listener_down(node, NULL);
}

/* Ends former owners: at once where nothing is awaited, or where nothing comes. Returns whether
 * some are left. */
static bool retire(struct redis_nodes *nodes)
{
    bool left = false;
    nodes->settling = true; /* until the tick settles: a number that becomes free stays so */
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        struct node *node = &nodes->node[i];
        if (node->link == NULL || node->wanted)
            continue;
        if (!is_up(node) || redis_link_awaited(node->link) == node->question.awaited ||
            redis_survey_waits_ms(&node->question) >= SILENT_MS) {
            close_node(nodes, node);
            continue;
        }
        redis_survey_ask(nodes->survey, &node->question, node->link, &node->at);
        left = true;
    }
    nodes->settling = false;
    return left;
}

/* Whether some node that is up keeps the survey waiting. */
static bool any_silent(const struct redis_nodes *nodes)
{
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (is_up(&nodes->node[i]) && redis_survey_waits_ms(&nodes->node[i].question) >= DOUBT_MS)
            return true;
    return false;
}

/* Asks the next node that is up and has answered what it was asked before. */
static void ask_next(struct redis_nodes *nodes)
{
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        struct node *node = &nodes->node[nodes->turn++ % REDIS_NODES_MAX];
        if (!is_up(node) || !node->wanted || node->question.awaited > 0)
            continue;
        redis_survey_ask(nodes->survey, &node->question, node->link, &node->at);
        break;
    }
    nodes->look = false;
    nodes->asked_ms = clock_monotonic_ms();
}

/* Of several seeds that are no cluster, the next, if this one does not come up. */
static void next_seed(struct redis_nodes *nodes, bool content)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (content || redis_survey_kind(nodes->survey) != REDIS_SURVEY_ONE)
        nodes->seed_ms = now_ms;
    else if (now_ms - nodes->seed_ms >= SEED_MS) {
        nodes->seed = (nodes->seed + 1) % nodes->url.seeds_n;
        nodes->seed_ms = now_ms;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
    struct redis_nodes *nodes = user;
    uint64_t now_ms = clock_monotonic_ms();
    bool content = true;
    (void)fd;
    (void)what;
    nodes->due_ms = UINT64_MAX;
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        content &= nodes->owner[place] >= 0;
    next_seed(nodes, content);
    bool doubt = retire(nodes) || any_silent(nodes) || !content || now_ms < nodes->doubt_ms;
    doubt |= redis_survey_tick(nodes->survey, content);
    enum redis_survey_kind kind = redis_survey_kind(nodes->survey);
    if (kind != REDIS_SURVEY_SENTINEL &&
        (nodes->look || (kind == REDIS_SURVEY_CLUSTER &&
                         now_ms - nodes->asked_ms + SOON_MS >= (doubt ? DOUBT_MS : TURN_MS))))
        ask_next(nodes);
    settle(nodes);
    tick_within(nodes, doubt ? DOUBT_MS : TURN_MS);
}

/* --- making and ending --- */

static void forget_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

/* NULL stays NULL. False: out of memory. */
static bool copied(char **copy, const char *text)
{
    *copy = text != NULL ? strdup(text) : NULL;
    return text == NULL || *copy != NULL;
}

static bool copy_config(struct redis_nodes *nodes, const struct redis_nodes_config *config)
{
    nodes->config = *config;
    if (config->url != NULL)
        nodes->url = *config->url;
    else
        redis_url_of_host(&nodes->url, config->link.host, config->link.port);
    nodes->config.url = &nodes->url;
    struct redis_link_config *link = &nodes->config.link;
    bool whole = copied(&nodes->prefix, link->prefix != NULL ? link->prefix : REDIS_KEY_PREFIX) &&
                 copied(&nodes->username, link->username) &&
                 copied(&nodes->password, link->password);
    link->prefix = nodes->prefix;
    link->username = nodes->username;
    link->password = nodes->password;
    link->on_message = NULL;
    link->any_role = false;
    return whole;
}

struct redis_nodes *redis_nodes_new(struct event_base *base,
                                    const struct redis_nodes_config *config)
{
    struct redis_nodes *nodes = calloc(1, sizeof *nodes);
    if (nodes == NULL)
        return NULL;
    nodes->base = base;
    memset(nodes->owner, -1, sizeof nodes->owner);
    memset(nodes->listened, -1, sizeof nodes->listened);
    nodes->due_ms = UINT64_MAX;
    nodes->timer = evtimer_new(base, on_tick, nodes);
    if (copy_config(nodes, config) && nodes->timer != NULL)
        nodes->survey = redis_survey_new(
            base,
            &(struct redis_survey_config){
                .link = &nodes->config.link, .url = &nodes->url, .on_map = on_map, .user = nodes});
    if (nodes->survey == NULL) {
        redis_nodes_free(nodes);
        return NULL;
    }
    settle(nodes);
    tick_within(nodes, 0);
    return nodes;
}

void redis_nodes_free(struct redis_nodes *nodes)
{
    if (nodes == NULL)
        return;
    nodes->settling = true; /* nothing is announced any more */
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        redis_link_free(nodes->node[i].link);
        redis_link_free(nodes->node[i].listener);
        nodes->node[i].link = nodes->node[i].listener = NULL;
    }
    redis_survey_free(nodes->survey);
    events_free(nodes->timer);
    forget_secret(nodes->password);
    free(nodes->username);
    free(nodes->prefix);
    free(nodes);
}

/* --- what is asked of it --- */

int redis_nodes_owner(const struct redis_nodes *nodes, unsigned place)
{
    return nodes->owner[place];
}

uint64_t redis_nodes_generation(const struct redis_nodes *nodes, unsigned place)
{
    return nodes->generation[place];
}

/* The node that the map names, or that is tried; NULL: none. */
static const struct node *named(const struct redis_nodes *nodes, unsigned place)
{
    const struct redis_map *map = redis_survey_map(nodes->survey);
    int owner = map->of[place];
    const struct node *found = NULL;
    if (owner < 0 && redis_survey_kind(nodes->survey) > REDIS_SURVEY_ONE)
        return NULL;
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        const struct node *node = &nodes->node[i];
        if (node->link != NULL &&
            (owner < 0 ? node->wanted : redis_map_same(&node->at, &map->owner[owner])))
            found = node;
    }
    return found;
}

const char *redis_nodes_why(const struct redis_nodes *nodes, unsigned place)
{
    if (nodes->owner[place] >= 0)
        return "";
    const struct node *node = named(nodes, place);
    return node == NULL || is_up(node) ? redis_survey_why(nodes->survey)
                                       : redis_link_why(node->link);
}

int redis_nodes_send(struct redis_nodes *nodes, unsigned place, redis_link_cb *fn, void *user,
                     int argc, const char **argv, const size_t *bytes)
{
    int owner = nodes->owner[place];
    return owner < 0 ? -1 : redis_link_send(nodes->node[owner].link, fn, user, argc, argv, bytes);
}

bool redis_nodes_moving(struct redis_nodes *nodes, const char *error)
{
    static const char *const words[] = {"MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN"};
    bool moving = false;
    for (size_t i = 0; error != NULL && i < sizeof words / sizeof words[0]; i++)
        moving |= strncmp(error, words[i], strlen(words[i])) == 0;
    moving |= error != NULL && strstr(error, "access a non local key") != NULL;
    if (moving)
        look_soon(nodes);
    return moving;
}

bool redis_nodes_up(const struct redis_nodes *nodes, unsigned node)
{
    return node < REDIS_NODES_MAX && nodes->node[node].told && is_up(&nodes->node[node]);
}

int redis_nodes_send_node(struct redis_nodes *nodes, unsigned node, redis_link_cb *fn, void *user,
                          int argc, const char **argv, const size_t *bytes)
{
    return redis_nodes_up(nodes, node)
               ? redis_link_send(nodes->node[node].link, fn, user, argc, argv, bytes)
               : -1;
}

const char *redis_nodes_name(const struct redis_nodes *nodes, unsigned node)
{
    return node < REDIS_NODES_MAX ? nodes->node[node].name : "";
}

const char *redis_nodes_prefix(const struct redis_nodes *nodes)
{
    return nodes->prefix;
}

bool redis_nodes_cluster(const struct redis_nodes *nodes)
{
    return redis_survey_kind(nodes->survey) == REDIS_SURVEY_CLUSTER;
}

unsigned redis_nodes_awaited(const struct redis_nodes *nodes)
{
    unsigned n = 0;
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (nodes->node[i].link != NULL)
            n += redis_link_awaited(nodes->node[i].link) - nodes->node[i].question.awaited;
    return n;
}

uint64_t redis_nodes_timeouts(const struct redis_nodes *nodes)
{
    uint64_t n = nodes->timeouts;
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (nodes->node[i].link != NULL)
            n += redis_link_timeouts(nodes->node[i].link);
    return n;
}

uint64_t redis_nodes_reconnects(const struct redis_nodes *nodes)
{
    return nodes->reconnects;
}

void redis_nodes_reset(struct redis_nodes *nodes, unsigned place, const char *why)
{
    if (nodes->owner[place] >= 0)
        redis_link_reset(nodes->node[nodes->owner[place]].link, why);
}

int redis_nodes_set_password(struct redis_nodes *nodes, const char *password)
{
    char *own = NULL;
    int result = 0;
    if (password == NULL ? nodes->password == NULL
                         : nodes->password != NULL && strcmp(password, nodes->password) == 0)
        return 0;
    if (!copied(&own, password))
        return -1;
    forget_secret(nodes->password);
    nodes->config.link.password = nodes->password = own;
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        struct node *node = &nodes->node[i];
        if (node->link != NULL && redis_link_set_password(node->link, password) < 0)
            result = -1;
        if (node->listener != NULL && redis_link_set_password(node->listener, password) < 0)
            result = -1;
    }
    if (redis_survey_set_password(nodes->survey, password) < 0)
        result = -1;
    return result < 0 ? -1 : 1;
}

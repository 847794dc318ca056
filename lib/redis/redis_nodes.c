/* Links by address, as the map needs them (redis_survey). All that changes is announced in one
 * place, redis_nodes_settle: callbacks of links only note what happened. No link is freed in a
 * callback of one: the tick does that. */
#include "redis/redis_nodes.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "redis/redis_answer.h"
#include "redis/redis_guard.h"
#include "redis/redis_node.h"
#include "redis/redis_survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURN_MS 1000  /* between two questions who owns what */
#define UNSURE_MS 250 /* the same, while a node is silent or nothing is known */
#define SOON_MS 50    /* after a sign that something has moved */
#define SILENT_MS 500 /* a former owner that has not answered for this long is dropped */
#define SEED_MS 1000  /* for a seed that does not come up, if there are others */

struct redis_nodes {
    struct redis_nodes_config config; /* except `link` and `url`, which are copied below */
    struct redis_node_config common;
    struct redis_url url;
    struct event_base *base;
    struct event *timer;
    struct redis_survey *survey;
    struct redis_node node[REDIS_NODES_MAX];
    unsigned used;              /* nodes from here on were never opened */
    int owner[REDIS_PLACES];    /* as announced; -1 none */
    int listened[REDIS_PLACES]; /* on_subscribe was called for this node's listener; -1 none */
    uint64_t generation[REDIS_PLACES];
    uint64_t reconnects, timeouts; /* timeouts: of links that are gone */
    uint64_t asked_ms;             /* when a node was asked last */
    uint64_t due_ms;               /* of the timer */
    bool look;                     /* ask at the next tick */
    uint64_t unsure_ms;            /* until then, ask more often */
    unsigned turn, seed;           /* of the next node to ask; of the seed being tried */
    uint64_t seed_ms;              /* since when it is tried */
    bool settling, unsettled;
};

static void redis_nodes_settle(struct redis_nodes *nodes);

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
    nodes->unsure_ms = clock_monotonic_ms() + TURN_MS;
    tick_within(nodes, SOON_MS);
}

static void on_news(void *user, struct redis_node *node, enum redis_node_news news)
{
    struct redis_nodes *nodes = user;
    int number = (int)(node - nodes->node);
    if (news == REDIS_NODE_UP && redis_survey_kind(nodes->survey) != REDIS_SURVEY_SENTINEL)
        redis_survey_ask(nodes->survey, &node->question, node->link, &node->at);
    if (news == REDIS_NODE_DOWN) {
        nodes->reconnects++;
        look_soon(nodes);
    }
    for (unsigned place = 0; news == REDIS_NODE_LISTENS_NOT && place < REDIS_PLACES; place++)
        if (nodes->listened[place] == number)
            nodes->listened[place] = -1;
    redis_nodes_settle(nodes);
}

/* --- nodes --- */

static struct redis_node *find(struct redis_nodes *nodes, const struct redis_address *at)
{
    for (unsigned i = 0; i < nodes->used; i++)
        if (nodes->node[i].link != NULL && redis_map_same(&nodes->node[i].at, at))
            return &nodes->node[i];
    return NULL;
}

/* The node at this address; it is made if need be. NULL: too many at the moment, or out of memory;
 * the next tick tries again. */
static struct redis_node *need(struct redis_nodes *nodes, const struct redis_address *at)
{
    struct redis_node *node = find(nodes, at);
    for (unsigned i = 0; node == NULL && i < REDIS_NODES_MAX; i++) {
        if (nodes->node[i].link != NULL)
            continue;
        node = &nodes->node[i];
        if (i >= nodes->used)
            nodes->used = i + 1;
        if (redis_node_open(node, nodes->base, &nodes->common, at) != 0)
            return NULL;
    }
    if (node != NULL)
        node->wanted = true;
    return node;
}

/* --- announcements --- */

static void tell_node(struct redis_nodes *nodes, struct redis_node *node, bool up)
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
    if (owner < 0 || !nodes->node[owner].up)
        return;
    nodes->owner[place] = owner;
    nodes->generation[place]++;
    nodes->config.on_place(nodes->config.user, place, true);
}

static void tell_lost(struct redis_nodes *nodes, struct redis_node *node)
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
    for (unsigned i = 0; i < nodes->used; i++)
        nodes->node[i].wanted = false;
    for (unsigned i = 0; i < map->n; i++) {
        const struct redis_node *node = need(nodes, &map->owner[i]);
        number[i] = node != NULL && node->up ? (int)(node - nodes->node) : -1;
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
    for (unsigned i = 0; i < nodes->used; i++)
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
static void redis_nodes_settle(struct redis_nodes *nodes)
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
    redis_nodes_settle(nodes);
    tick_within(nodes, 0); /* former owners */
}

/* --- the tick --- */

static void close_node(struct redis_nodes *nodes, struct redis_node *node)
{
    nodes->timeouts += redis_link_timeouts(node->link);
    redis_node_close(node); /* its callbacks find it down */
    tell_lost(nodes, node);
}

/* Ends former owners: at once if no answer is awaited, or after silence. Returns whether
 * some are left. */
static bool retire(struct redis_nodes *nodes)
{
    bool left = false;
    nodes->settling = true; /* until the tick settles: a number that becomes free stays so */
    for (unsigned i = 0; i < nodes->used; i++) {
        struct redis_node *node = &nodes->node[i];
        if (node->link == NULL || node->wanted)
            continue;
        if (!node->up || redis_node_awaited(node) == 0 ||
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
    bool any = false;
    for (unsigned i = 0; i < nodes->used; i++)
        any |= nodes->node[i].up && redis_survey_waits_ms(&nodes->node[i].question) >= UNSURE_MS;
    return any;
}

/* Asks the next node that is up and has answered its previous question. */
static void ask_next(struct redis_nodes *nodes)
{
    for (unsigned i = 0; i < nodes->used; i++) {
        struct redis_node *node = &nodes->node[nodes->turn++ % nodes->used];
        if (!node->up || !node->wanted || node->question.awaited > 0)
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
    bool unsure = retire(nodes) || any_silent(nodes) || !content || now_ms < nodes->unsure_ms;
    unsure |= redis_survey_tick(nodes->survey, content);
    enum redis_survey_kind kind = redis_survey_kind(nodes->survey);
    if (kind != REDIS_SURVEY_SENTINEL &&
        (nodes->look || (kind == REDIS_SURVEY_CLUSTER &&
                         now_ms - nodes->asked_ms + SOON_MS >= (unsure ? UNSURE_MS : TURN_MS))))
        ask_next(nodes);
    redis_nodes_settle(nodes);
    tick_within(nodes, unsure ? UNSURE_MS : TURN_MS);
}

/* --- making and ending --- */

static int copy_config(struct redis_nodes *nodes, const struct redis_nodes_config *config)
{
    nodes->config = *config;
    if (config->url != NULL)
        nodes->url = *config->url;
    else
        redis_url_of_host(&nodes->url, config->link.host, config->link.port);
    nodes->common = (struct redis_node_config){.on_news = on_news,
                                               .on_message = config->on_message,
                                               .user = nodes,
                                               .message_user = config->user};
    return redis_node_config_init(&nodes->common, &config->link);
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
    if (copy_config(nodes, config) == 0 && nodes->timer != NULL)
        nodes->survey = redis_survey_new(
            base,
            &(struct redis_survey_config){
                .link = &nodes->common.link, .url = &nodes->url, .on_map = on_map, .user = nodes});
    if (nodes->survey == NULL) {
        redis_nodes_free(nodes);
        return NULL;
    }
    redis_nodes_settle(nodes);
    tick_within(nodes, 0);
    return nodes;
}

void redis_nodes_free(struct redis_nodes *nodes)
{
    if (nodes == NULL)
        return;
    nodes->settling = true; /* nothing is announced any more */
    for (unsigned i = 0; i < nodes->used; i++) {
        redis_node_close(&nodes->node[i]);
    }
    redis_survey_free(nodes->survey);
    events_free(nodes->timer);
    redis_node_config_fini(&nodes->common);
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
static const struct redis_node *named(const struct redis_nodes *nodes, unsigned place)
{
    const struct redis_map *map = redis_survey_map(nodes->survey);
    int owner = map->of[place];
    const struct redis_node *found = NULL;
    if (owner < 0 && redis_survey_kind(nodes->survey) > REDIS_SURVEY_ONE)
        return NULL;
    for (unsigned i = 0; i < nodes->used; i++) {
        const struct redis_node *node = &nodes->node[i];
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
    const struct redis_node *node = named(nodes, place);
    return node == NULL || node->up ? redis_survey_why(nodes->survey) : redis_link_why(node->link);
}

int redis_nodes_send(struct redis_nodes *nodes, unsigned place, redis_link_cb *fn, void *user,
                     int argc, const char **argv, const size_t *bytes)
{
    int owner = nodes->owner[place];
    return owner < 0 ? -1
                     : redis_guard_send(nodes->node[owner].link, &nodes->generation[place], fn,
                                        user, argc, argv, bytes);
}

bool redis_nodes_moving(struct redis_nodes *nodes, const char *error)
{
    static const char *const words[] = {"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"};
    bool moving = error != NULL && strstr(error, "access a non local key") != NULL;
    for (size_t i = 0; error != NULL && i < sizeof words / sizeof words[0]; i++)
        moving |= redis_answer_is(error, words[i]);
    if (moving)
        look_soon(nodes);
    return moving;
}

bool redis_nodes_up(const struct redis_nodes *nodes, unsigned node)
{
    return node < REDIS_NODES_MAX && nodes->node[node].told && nodes->node[node].up;
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
    return nodes->common.link.prefix;
}

bool redis_nodes_cluster(const struct redis_nodes *nodes)
{
    return redis_survey_kind(nodes->survey) == REDIS_SURVEY_CLUSTER;
}

unsigned redis_nodes_awaited(const struct redis_nodes *nodes)
{
    unsigned n = 0;
    for (unsigned i = 0; i < nodes->used; i++)
        n += redis_node_awaited(&nodes->node[i]);
    return n;
}

uint64_t redis_nodes_timeouts(const struct redis_nodes *nodes)
{
    uint64_t n = nodes->timeouts;
    for (unsigned i = 0; i < nodes->used; i++)
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

void redis_nodes_reset_node(struct redis_nodes *nodes, unsigned node, const char *why)
{
    if (redis_nodes_up(nodes, node))
        redis_link_reset(nodes->node[node].link, why);
}

int redis_nodes_set_password(struct redis_nodes *nodes, const char *password)
{
    int result = redis_node_config_password(&nodes->common, password);
    if (result <= 0)
        return result;
    for (unsigned i = 0; i < nodes->used; i++)
        if (redis_node_set_password(&nodes->node[i], password) < 0)
            result = -1;
    if (redis_survey_set_password(nodes->survey, password) < 0)
        result = -1;
    return result;
}

/* The identity of the store, and for each of its shards whether it may be asked. redis_nodes
 * handles the servers, and which of them has which shard. */
#include "store_link.h"

#include "query.h"
#include "redis_run.h"
#include "reply.h"
#include "store_request.h"

#include "core/shard_names.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MS 1000
#define REREAD_MS 1000
#define PROBE_MIN_MS 50 /* before a shard that is not this store's yet is asked again */
#define PROBE_MAX_MS 1000
#define WHY_BYTES 128
#define SUMMARY_BYTES (WHY_BYTES + SHARD_NAMES_BYTES)

struct shard {
    struct store_link *link;
    bool ready;
    bool asked;          /* its meta is being read */
    bool foreign;        /* its meta names another store, or none */
    uint64_t version;    /* that it had at least, in this run */
    char why[WHY_BYTES]; /* it is not ready although its server is there */
    char run[STORE_LINK_RUN_BYTES + 1];
};

struct store_link {
    struct store_link_config config;
    struct redis_nodes *nodes;
    struct store_request_config request;
    struct event *tick;             /* each second: looks for the store */
    struct event *again;            /* shards that were not ready are asked once more */
    uint64_t again_ms;              /* how long that waits */
    bool followed;                  /* set by follow and unfollow only */
    bool checking;                  /* the store is being read */
    char why[WHY_BYTES];            /* it is not followed */
    char summary[SUMMARY_BYTES];    /* store_link_why */
    char said[SUMMARY_BYTES];       /* … as it was logged last */
    struct store_identity identity; /* once one was found, only this one is followed */
    struct shard shard[STORE_IDENTITY_MAX_SHARDS];
    char node_run[REDIS_NODES_MAX][REDIS_RUN_BYTES + 1]; /* of each server */
    char collector[STORE_IDENTITY_ID_BYTES + 1]; /* the store that the collector is ready with */
    uint64_t reread_ms;
    struct store_report report;
    struct store_link_stats stats;
};

/* ---- queries ---- */

bool store_link_ready(const struct store_link *link)
{
    return link->followed;
}

bool store_link_shard_ready(const struct store_link *link, uint32_t shard)
{
    return shard < link->identity.shards && link->shard[shard].ready;
}

static bool has_owner(const struct store_link *link, uint32_t shard)
{
    return redis_nodes_owner(link->nodes, shard) >= 0;
}

bool store_link_shard_there(const struct store_link *link, uint32_t shard)
{
    return has_owner(link, shard) && !link->shard[shard].foreign;
}

uint32_t store_link_shards_away(const struct store_link *link)
{
    uint32_t away = 0;
    for (uint32_t i = 0; link->followed && i < link->identity.shards; i++)
        away += !link->shard[i].ready;
    return away;
}

static const char *why_shard(const struct store_link *link, uint32_t shard)
{
    return has_owner(link, shard) ? link->shard[shard].why : redis_nodes_why(link->nodes, shard);
}

/* If all are away, the first one's reason is nearly always true of all. */
const char *store_link_why(struct store_link *link)
{
    bool there = redis_nodes_owner(link->nodes, REDIS_PLACE_STORE) >= 0;
    bool away[STORE_IDENTITY_MAX_SHARDS];
    const char *why = there ? link->why : redis_nodes_why(link->nodes, REDIS_PLACE_STORE);
    char names[SHARD_NAMES_BYTES] = "";
    uint32_t shards = link->identity.shards, n = store_link_shards_away(link);
    for (uint32_t i = shards; i-- > 0 && n > 0;) {
        away[i] = !link->shard[i].ready;
        why = away[i] ? why_shard(link, i) : why;
    }
    if (n > 0 && n < shards)
        shard_names_write(names, away, shards);
    else if (n == 0 && link->followed)
        snprintf(names, sizeof names, "%s", there ? "" : "tally:store");
    snprintf(link->summary, sizeof link->summary, "%s%s%s", names, *names != '\0' ? " away: " : "",
             n == 0 && link->followed && there ? "" : why);
    return link->summary;
}

uint32_t store_link_shards(const struct store_link *link)
{
    return link->identity.shards;
}

const char *store_link_id(const struct store_link *link)
{
    return link->identity.id;
}

const struct kinds *store_link_kinds(const struct store_link *link)
{
    return &link->identity.kinds;
}

struct store_link_stats store_link_stats(const struct store_link *link)
{
    struct store_link_stats stats = link->stats;
    stats.bad = link->report.bad;
    stats.timeouts = redis_nodes_timeouts(link->nodes);
    stats.reconnects = redis_nodes_reconnects(link->nodes);
    return stats;
}

struct store_link_stats *store_link_counters(struct store_link *link)
{
    return &link->stats;
}

struct store_report *store_link_report(struct store_link *link)
{
    return &link->report;
}

void store_link_key(const struct store_link *link, char key[REDIS_KEY_BYTES], uint32_t shard,
                    const char *name)
{
    redis_key(key, redis_nodes_prefix(link->nodes), shard, name);
}

/* ---- a shard ---- */

static void ask_again(struct store_link *link)
{
    if (event_pending(link->again, EV_TIMEOUT, NULL))
        return;
    events_arm(link->again, link->again_ms);
    link->again_ms = link->again_ms * 2 > PROBE_MAX_MS ? PROBE_MAX_MS : link->again_ms * 2;
}

static void shard_leave(struct store_link *link, uint32_t shard, const char *why)
{
    struct shard *one = &link->shard[shard];
    bool was_ready = one->ready;
    snprintf(one->why, sizeof one->why, "%s", why);
    one->ready = false;
    if (was_ready)
        link->config.on_shard(link->config.user, shard, false);
}

/* It is away until its meta was read again. */
static void shard_wait(struct store_link *link, uint32_t shard, const char *why)
{
    shard_leave(link, shard, why);
    ask_again(link);
}

/* Whether the shard may have lost something since it was ready last. A run that went back has the
 * server's run as its beginning. */
static void take_run(struct store_link *link, uint32_t shard)
{
    int owner = redis_nodes_owner(link->nodes, shard);
    const char *run = owner >= 0 ? link->node_run[owner] : "";
    struct shard *one = &link->shard[shard];
    if (run[0] != '\0' && strncmp(one->run, run, strlen(run)) == 0)
        return;
    one->version = 0;
    snprintf(one->run, sizeof one->run, "%s", run);
}

static void shard_enter(struct store_link *link, uint32_t shard)
{
    struct shard *one = &link->shard[shard];
    if (one->ready || !link->followed)
        return;
    take_run(link, shard);
    one->why[0] = '\0';
    one->ready = true;
    link->again_ms = PROBE_MIN_MS;
    link->config.on_shard(link->config.user, shard, true);
}

const char *store_link_run(const struct store_link *link, uint32_t shard)
{
    return link->shard[shard].run;
}

bool store_link_version(struct store_link *link, uint32_t shard, uint64_t version)
{
    struct shard *one = &link->shard[shard];
    bool back = version < one->version && one->ready;
    one->version = back ? 0 : version;
    if (!back)
        return false;
    char run[REDIS_RUN_BYTES + 1];
    snprintf(run, sizeof run, "%.*s", REDIS_RUN_BYTES, one->run);
    snprintf(one->run, sizeof one->run, "%s-%" PRIu64, run, ++link->stats.went_back % 1000000);
    shard_wait(link, shard, "Redis went back");
    return true;
}

/* ---- requests ---- */

static void on_moving(void *user, unsigned place, const char *error)
{
    if (place != REDIS_PLACE_STORE)
        shard_wait(user, place, error);
}

int store_link_send(struct store_link *link, uint32_t shard, redis_link_cb *callback, void *user,
                    int n, const char **words, const size_t *bytes)
{
    return store_request_send(&link->request, shard, callback, user, n, words, bytes);
}

void store_link_refuse(struct store_link *link, uint32_t shard, const redisReply *reply,
                       const char *why)
{
    if (reply != NULL)
        redis_nodes_reset(link->nodes, shard, reply->type == REDIS_REPLY_ERROR ? reply->str : why);
}

/* ---- whose a shard is ---- */

static void on_meta(void *user, const redisReply *reply)
{
    struct shard *one = user;
    struct store_link *link = one->link;
    uint32_t shard = (uint32_t)(one - link->shard);
    one->asked = false;
    if (reply == NULL || !link->followed)
        return; /* the next generation, or on_again, asks */
    one->foreign = reply->type != REDIS_REPLY_ERROR &&
                   (!reply_is_string(reply) || strcmp(reply->str, link->identity.id) != 0);
    if (reply_is_string(reply) && !one->foreign)
        shard_enter(link, shard);
    else
        shard_wait(link, shard,
                   reply_is_string(reply) ? "its data belongs to another store"
                   : one->foreign         ? "its data names no store"
                                          : reply->str);
}

/* Reads whose it is. */
static void shard_probe(struct store_link *link, uint32_t shard)
{
    char key[REDIS_KEY_BYTES];
    store_link_key(link, key, shard, "meta");
    const char *words[] = {"HGET", key, "store"};
    const size_t bytes[] = {4, strlen(key), 5};
    struct shard *one = &link->shard[shard];
    if (!link->followed || shard >= link->identity.shards || one->ready || one->asked ||
        !has_owner(link, shard))
        return;
    one->asked = store_request_send(&link->request, shard, on_meta, one, 3, words, bytes) == 0;
}

static void probe_all(struct store_link *link)
{
    for (uint32_t i = 0; i < link->identity.shards; i++)
        shard_probe(link, i);
}

static void on_again(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    probe_all(user);
}

/* ---- the store ---- */

static void unfollow(struct store_link *link, const char *why)
{
    bool was_followed = link->followed;
    snprintf(link->why, sizeof link->why, "%s", why);
    for (uint32_t i = 0; i < link->identity.shards; i++)
        shard_leave(link, i, why);
    link->followed = false;
    if (was_followed)
        link->config.on_away(link->config.user);
}

/* With `identity` set. */
static void follow(struct store_link *link)
{
    link->followed = true;
    link->why[0] = '\0';
    link->again_ms = PROBE_MIN_MS;
    log_line(LOG_LEVEL_INFO, "following", "store=%s shards=%" PRIu32, link->identity.id,
             link->identity.shards);
    link->config.on_ready(link->config.user);
    probe_all(link);
}

/* If another store appears, the link first stops following the old one, so that its users
 * start again. */
static void take_identity(struct store_link *link, const struct store_identity *found)
{
    if (link->identity.id[0] != '\0' && !store_identity_same(found, &link->identity)) {
        unfollow(link, "another store");
        for (uint32_t i = 0; i < STORE_IDENTITY_MAX_SHARDS; i++)
            link->shard[i].version = 0;
    }
    link->identity = *found;
    if (!link->followed)
        follow(link);
}

static void on_store(void *user, const redisReply *reply)
{
    struct store_link *link = user;
    struct store_identity found;
    link->checking = false;
    if (reply == NULL)
        return;
    const char *why = store_identity_read(&found, reply);
    if (why == NULL && !store_identity_may_follow(&link->identity, &found, link->collector))
        why = "another store than the one followed so far; the collector is not ready with it";
    if (why != NULL)
        unfollow(link, why);
    else
        take_identity(link, &found);
}

static void check_store(struct store_link *link)
{
    char key[REDIS_KEY_BYTES];
    redis_key(key, redis_nodes_prefix(link->nodes), REDIS_PLACE_STORE, NULL);
    const char *words[] = {"HGETALL", key};
    const size_t bytes[] = {7, strlen(key)};
    if (!link->checking &&
        store_request_send(&link->request, REDIS_PLACE_STORE, on_store, link, 2, words, bytes) == 0)
        link->checking = true;
}

void store_link_another(struct store_link *link, uint32_t shard)
{
    shard_wait(link, shard, "another store than the one followed so far");
    check_store(link);
}

void store_link_collector(struct store_link *link, const char *id)
{
    snprintf(link->collector, sizeof link->collector, "%s", id);
}

void store_link_reread(struct store_link *link)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - link->reread_ms < REREAD_MS)
        return;
    link->reread_ms = now_ms;
    check_store(link);
}

/* ---- servers ---- */

/* Its run is asked for before anything of its shards, so it is known when one of them is ready. */
static void on_node(void *user, unsigned number, bool up)
{
    struct store_link *link = user;
    link->node_run[number][0] = '\0';
    if (!up)
        return;
    redis_run_ask(link->node_run[number], link->nodes, number);
    query_load(link->nodes, number);
}

static void on_place(void *user, unsigned place, bool up)
{
    struct store_link *link = user;
    if (place == REDIS_PLACE_STORE) {
        link->checking = false;
        if (up)
            check_store(link);
        return;
    }
    shard_leave(link, place, up ? "its store is being read" : "its server is away");
    link->shard[place].asked = link->shard[place].foreign = false;
    link->again_ms = PROBE_MIN_MS;
    if (up)
        shard_probe(link, place);
}

static void on_subscribe(void *user, struct redis_link *redis, unsigned shard)
{
    const struct store_link *link = user;
    link->config.on_subscribe(link->config.user, redis, shard);
}

static void on_message(void *user, const redisReply *reply)
{
    const struct store_link *link = user;
    link->config.on_message(link->config.user, reply);
}

/* Many shards come and go together: one line says how many are away. */
static void say_why(struct store_link *link)
{
    const char *why = store_link_why(link);
    if (strcmp(why, link->said) == 0)
        return;
    snprintf(link->said, sizeof link->said, "%s", why);
    bool all = why[0] == '\0';
    log_line(all ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
             all ? "following all shards" : "some shards are away", "reason=%s", why);
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
    struct store_link *link = user;
    (void)fd;
    (void)what;
    check_store(link);
    say_why(link);
    probe_all(link);
}

/* ---- making ---- */

struct store_link *store_link_new(struct event_base *base, const struct store_link_config *config)
{
    struct store_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->config = *config;
    link->again_ms = PROBE_MIN_MS;
    snprintf(link->why, sizeof link->why, "the store is being read");
    for (uint32_t i = 0; i < STORE_IDENTITY_MAX_SHARDS; i++)
        link->shard[i].link = link;
    const struct redis_nodes_config nodes = {
        .link = config->redis,
        .url = config->url,
        .on_node = on_node,
        .on_place = on_place,
        .on_subscribe = on_subscribe,
        .on_message = config->on_message != NULL ? on_message : NULL,
        .user = link,
    };
    link->nodes = redis_nodes_new(base, &nodes);
    link->request = (struct store_request_config){link->nodes, on_moving, link};
    link->tick = event_new(base, -1, EV_PERSIST, on_tick, link);
    link->again = evtimer_new(base, on_again, link);
    if (link->nodes == NULL || link->tick == NULL || link->again == NULL ||
        events_arm(link->tick, CHECK_MS) != 0) {
        store_link_free(link);
        return NULL;
    }
    return link;
}

void store_link_free(struct store_link *link)
{
    if (link == NULL)
        return;
    /* First, so that a failed caller asks nothing more. */
    link->followed = false;
    for (uint32_t i = 0; i < STORE_IDENTITY_MAX_SHARDS; i++)
        link->shard[i].ready = false;
    redis_nodes_free(link->nodes);
    events_free(link->tick);
    events_free(link->again);
    free(link);
}

int store_link_set_password(struct store_link *link, const char *password)
{
    return redis_nodes_set_password(link->nodes, password);
}

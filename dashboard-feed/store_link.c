/* The connection to Redis and the store behind it: a state machine that decides when requests may
 * be sent. */
#include "store_link.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MS 1000
#define REREAD_MS 1000
#define RUN_PART_BYTES 12 /* of Redis's run id, and of its replication id */
#define SAY_MS 10000      /* between two lines about the same */

enum state {
    DISCONNECTED,
    AWAY,      /* connected; the store is not known yet, or must not be followed */
    FOLLOWING, /* requests are accepted */
};

struct store_link {
    struct store_link_config config;
    struct redis_link *redis;
    struct event *tick;                          /* each second: looks for the store */
    enum state state;                            /* set by enter_ functions only */
    char why[96];                                /* it does not follow */
    bool checking;                               /* the store is being read */
    struct store_identity identity;              /* once one was found, only this one is followed */
    char run[STORE_LINK_RUN_BYTES + 1];          /* of Redis */
    uint64_t version[STORE_IDENTITY_MAX_SHARDS]; /* that its shards had at least, in this run */
    char collector[STORE_IDENTITY_ID_BYTES + 1]; /* the store that the collector is ready with */
    uint64_t reread_ms;
    uint64_t bad_said_ms, not_written_said_ms;
    struct store_link_stats stats;
};

/* ---- states ---- */

static void store_link_leave(struct store_link *link, enum state to, const char *why)
{
    bool followed = link->state == FOLLOWING;
    link->state = to;
    if (strcmp(link->why, why) != 0) {
        snprintf(link->why, sizeof link->why, "%s", why);
        if (redis_link_up(link->redis))
            log_line(LOG_LEVEL_WARNING, "not following", "why=%s", why);
    }
    if (followed)
        link->config.on_away(link->config.user);
}

static void enter_disconnected(struct store_link *link)
{
    store_link_leave(link, DISCONNECTED, "not connected");
}

static void enter_away(struct store_link *link, const char *why)
{
    store_link_leave(link, AWAY, why);
}

/* From AWAY, with `identity` set. */
static void enter_following(struct store_link *link)
{
    link->state = FOLLOWING;
    link->why[0] = '\0';
    log_line(LOG_LEVEL_INFO, "following", "store=%s shards=%" PRIu32, link->identity.id,
             link->identity.shards);
    link->config.on_ready(link->config.user);
}

bool store_link_ready(const struct store_link *link)
{
    return link->state == FOLLOWING;
}

const char *store_link_why(const struct store_link *link)
{
    return redis_link_up(link->redis) ? link->why : redis_link_why(link->redis);
}

/* ---- requests ---- */

int store_link_send(struct store_link *link, redis_link_cb *callback, void *user, int n,
                    const char **words, const size_t *bytes)
{
    return redis_link_send(link->redis, callback, user, n, words, bytes);
}

void store_link_refuse(struct store_link *link, const redisReply *reply, const char *why)
{
    if (reply != NULL)
        redis_link_reset(link->redis, reply->type == REDIS_REPLY_ERROR ? reply->str : why);
}

/* ---- identity ---- */

static bool is_same(const struct store_link *link, const struct store_identity *found)
{
    return strcmp(found->id, link->identity.id) == 0 && found->shards == link->identity.shards;
}

/* Follow another store only once the collector is ready with it: that is the operator's decision
 * (--adopt). */
static bool may_follow(const struct store_link *link, const struct store_identity *found)
{
    return link->identity.id[0] == '\0' || strcmp(found->id, link->identity.id) == 0 ||
           strcmp(found->id, link->collector) == 0;
}

/* Another store than the one followed so far passes through AWAY: whoever follows begins again. */
static void take_identity(struct store_link *link, const struct store_identity *found)
{
    if (link->identity.id[0] != '\0' && !is_same(link, found)) {
        memset(link->version, 0, sizeof link->version);
        enter_away(link, "another store");
    }
    link->identity = *found;
    if (link->state != FOLLOWING)
        enter_following(link);
}

static void on_store(void *user, const redisReply *data)
{
    struct store_link *link = user;
    const redisReply *reply = data;
    struct store_identity found;
    link->checking = false;
    if (reply == NULL)
        return;
    const char *why = store_identity_read(&found, reply);
    if (why == NULL && !may_follow(link, &found))
        why = "another store than the one followed so far; the collector is not ready with it";
    if (why != NULL)
        enter_away(link, why);
    else
        take_identity(link, &found);
}

static void check_store(struct store_link *link)
{
    const char *words[] = {"HGETALL", "tally:store"};
    const size_t bytes[] = {strlen(words[0]), strlen(words[1])};
    if (!link->checking && store_link_send(link, on_store, link, 2, words, bytes) == 0)
        link->checking = true;
}

void store_link_another(struct store_link *link)
{
    enter_away(link, "another store than the one followed so far");
    check_store(link);
}

bool store_link_version(struct store_link *link, uint32_t shard, uint64_t version)
{
    if (version >= link->version[shard] || link->state != FOLLOWING) {
        link->version[shard] = version;
        return false;
    }
    char run[STORE_LINK_RUN_BYTES + 1];
    link->stats.went_back++;
    memset(link->version, 0, sizeof link->version);
    memcpy(run, link->run, sizeof run);
    snprintf(link->run, sizeof link->run, "%.*s-%" PRIu64, 2 * RUN_PART_BYTES, run,
             link->stats.went_back % 1000000);
    enter_away(link, "Redis went back");
    check_store(link);
    return true;
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

/* ---- Redis's run ---- */

/* The value of a line of INFO, RUN_PART_BYTES of it at most. */
static void read_info(const char *info, const char *name, char out[RUN_PART_BYTES + 1])
{
    const char *at = strstr(info, name);
    size_t n = 0;
    if (at != NULL)
        for (at += strlen(name); n < RUN_PART_BYTES && at[n] > ' '; n++)
            out[n] = at[n];
    out[n] = '\0';
}

static void on_info(void *user, const redisReply *data)
{
    struct store_link *link = user;
    const redisReply *reply = data;
    char run[RUN_PART_BYTES + 1] = "", replication[RUN_PART_BYTES + 1] = "",
                              was[STORE_LINK_RUN_BYTES + 1];
    if (reply == NULL)
        return;
    if (reply->type != REDIS_REPLY_ERROR && reply->str != NULL) {
        read_info(reply->str, "\nrun_id:", run);
        read_info(reply->str, "\nmaster_replid:", replication);
    }
    memcpy(was, link->run, sizeof was);
    snprintf(link->run, sizeof link->run, "%s%s", run, replication);
    if (run[0] == '\0' || strncmp(was, link->run, strlen(link->run)) != 0)
        memset(link->version, 0, sizeof link->version);
    else
        memcpy(link->run, was, sizeof was);
}

/* ---- the connection ---- */

static void on_up(void *user)
{
    const char *words[] = {"INFO"};
    const size_t bytes[] = {strlen(words[0])};
    struct store_link *link = user;
    link->checking = false;
    enter_away(link, link->why); /* until the store was read */
    (void)store_link_send(link, on_info, link, 1, words, bytes);
    check_store(link);
}

static void on_down(void *user, const char *why)
{
    struct store_link *link = user;
    (void)why;
    link->stats.reconnects++;
    enter_disconnected(link);
    if (link->config.on_lost != NULL)
        link->config.on_lost(link->config.user);
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
    struct store_link *link = user;
    (void)fd;
    (void)what;
    check_store(link);
}

struct store_link *store_link_new(struct event_base *base, const struct store_link_config *config)
{
    struct store_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->config = *config;
    link->state = DISCONNECTED;
    snprintf(link->why, sizeof link->why, "not connected");
    const struct redis_link_config redis = {
        .host = config->host,
        .port = config->port,
        .password = config->password,
        .on_up = on_up,
        .on_down = on_down,
        .user = link,
    };
    link->redis = redis_link_new(base, &redis);
    link->tick = event_new(base, -1, EV_PERSIST, on_tick, link);
    if (link->redis == NULL || link->tick == NULL || events_arm(link->tick, CHECK_MS) != 0) {
        store_link_free(link);
        return NULL;
    }
    return link;
}

void store_link_free(struct store_link *link)
{
    if (link == NULL)
        return;
    link->state = DISCONNECTED; /* first: what is answered as failed asks nothing more */
    redis_link_free(link->redis);
    events_free(link->tick);
    free(link);
}

int store_link_set_password(struct store_link *link, const char *password)
{
    return redis_link_set_password(link->redis, password);
}

/* ---- what it knows ---- */

uint32_t store_link_shards(const struct store_link *link)
{
    return link->identity.shards;
}

const char *store_link_id(const struct store_link *link)
{
    return link->identity.id;
}

const char *store_link_run(const struct store_link *link)
{
    return link->run;
}

const struct kinds *store_link_kinds(const struct store_link *link)
{
    return &link->identity.kinds;
}

struct store_link_stats store_link_stats(const struct store_link *link)
{
    struct store_link_stats stats = link->stats;
    stats.timeouts = redis_link_timeouts(link->redis);
    return stats;
}

struct store_link_stats *store_link_counters(struct store_link *link)
{
    return &link->stats;
}

void store_link_key(char key[STORE_LINK_KEY_BYTES], uint32_t shard, const char *name)
{
    snprintf(key, STORE_LINK_KEY_BYTES, "tally:{%" PRIu32 "}:%s", shard, name);
}

/* ---- lines about what is stored ---- */

/* Whether it is time for another line; then notes it. */
static bool may_say(uint64_t *said_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (*said_ms != 0 && now_ms - *said_ms < SAY_MS)
        return false;
    *said_ms = now_ms;
    return true;
}

void store_link_bad(struct store_link *link, const char *what, const char *article, size_t bytes)
{
    link->stats.bad++;
    if (may_say(&link->bad_said_ms))
        log_line(LOG_LEVEL_ERROR, what, "article=%.*s", (int)(bytes > 200 ? 200 : bytes), article);
}

void store_link_not_written(struct store_link *link, const char *what, const char *why)
{
    if (may_say(&link->not_written_said_ms))
        log_line(LOG_LEVEL_WARNING, what, "why=%s", why);
}

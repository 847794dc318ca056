#include "programs.h"

#include "broker.h"
#include "cluster.h"
#include "files.h"
#include "judge.h"
#include "wire.h"
#include "world.h"

#include "redis/redis_config.h"

#include "publish.h"
#include "publisher.h"
#include "serve.h"
#include "store_link.h"
#include "subscription.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNS 8 /* of a collector that need not wait, at once */
#define INTERVAL_MS 250

static unsigned deliver_at_most;
static struct collector_settings settings[WORLD_EDGES];
static bool with_adopt;

/* What is left of a process that was killed. */
static void bury(struct event_base *process)
{
    wire_killed(process);
    broker_killed(process);
    if (process->kind == PLATFORM_COLLECTOR)
        files_consumer_dies(process->edge);
    judge_ended(process);
}

void programs_kill(struct event_base *process, long fuse)
{
    if (!process->alive)
        return;
    if (fuse > 0) {
        process->fuse = fuse;
        return;
    }
    world_tell("%s %u is killed", process->kind == PLATFORM_FEED ? "feed" : "collector",
               process->edge);
    platform_kill(process);
    bury(process);
}

static void run(struct event_base *process, void (*fn)(struct event_base *process))
{
    if (!platform_run(process, fn))
        bury(process);
}

/* --- the collector --- */

/* Does what it can, until it waits. */
static void collector_works(struct event_base *process)
{
    for (int i = 0; i < TURNS && !process->waits; i++) {
        process->waits = serve_works(process->program);
        if (!process->waits)
            serve_waited(process->program);
    }
}

static void start_collector(struct event_base *process)
{
    struct collector_settings *own = &settings[process->edge];
    memset(own, 0, sizeof *own);
    snprintf(own->spool, sizeof own->spool, "edge-%u", process->edge);
    snprintf(own->links.mqtt_host, sizeof own->links.mqtt_host, "broker");
    own->durability_level = world.replicas ? NODE_REPLICAS : NODE_AOF;
    own->accelerates = world.accelerates;
    own->adopt = with_adopt;
    own->batch_records = world.batch_records;
    own->in_flight = world.in_flight;
    own->audit_per_minute = world.audit_per_minute;
    struct redis_config way = {
        .link = {.host = cluster_host(world.seed_server), .port = cluster_port(world.seed_server)},
        .url = {.seeds_n = 1}};
    snprintf(way.url.seeds[0].host, sizeof way.url.seeds[0].host, "%s", way.link.host);
    way.url.seeds[0].port = way.link.port;
    process->program = serve_new(process, own, "secret", &way);
    if (process->program == NULL)
        abort();
    collector_works(process);
}

static void turn_collector(struct event_base *process)
{
    if (process->waits) {
        wire_deliver(process, deliver_at_most);
        broker_deliver(process, deliver_at_most);
        platform_dispatch(process);
        process->waits = false;
        serve_waited(process->program);
    }
    collector_works(process);
}

/* --- the feed, put together as in dashboard-feed/main.c --- */

struct feed {
    struct store_link *link;
    struct subscription subscription;
    struct publish *publish;
    struct publisher *publisher;
};

static void on_store_ready(void *user)
{
    publisher_store_ready(((struct feed *)user)->publisher);
}

static void on_store_away(void *user)
{
    publisher_store_away(((struct feed *)user)->publisher);
    judge_ended(platform_now);
}

static void on_shard(void *user, uint32_t shard, bool ready)
{
    publisher_shard(((struct feed *)user)->publisher, shard, ready);
    if (!ready)
        judge_ended(platform_now);
}

static void on_subscribe(void *user, struct redis_link *link, unsigned shard)
{
    subscription_begin(&((struct feed *)user)->subscription, link, shard);
}

static void on_message(void *user, const redisReply *reply)
{
    subscription_take(&((struct feed *)user)->subscription, reply);
}

static void on_hint(void *user, uint32_t shard)
{
    publisher_hint(((struct feed *)user)->publisher, shard);
}

static void on_broker_ready(void *user, const struct publish_mark *mark)
{
    publisher_broker_ready(((struct feed *)user)->publisher, mark);
}

static void on_broker_away(void *user)
{
    publisher_broker_away(((struct feed *)user)->publisher);
    judge_ended(platform_now);
}

static void on_collector(void *user, const char *payload, size_t bytes)
{
    char store[STORE_IDENTITY_ID_BYTES + 1] = "";
    if (bytes == STORE_IDENTITY_ID_BYTES)
        memcpy(store, payload, bytes);
    store_link_collector(((struct feed *)user)->link, store);
}

static void on_retained(void *user, const char *article, size_t bytes, uint64_t version)
{
    publisher_retained(((struct feed *)user)->publisher, article, bytes, version);
}

static void on_listed(void *user)
{
    publisher_listed(((struct feed *)user)->publisher);
}

static void on_marked(void *user)
{
    publisher_marked(((struct feed *)user)->publisher);
}

static void start_feed(struct event_base *process)
{
    struct feed *feed = calloc(1, sizeof *feed);
    struct publisher_config publisher = {
        .interval_ms = INTERVAL_MS,
        .repeat_ms = BROKER_REPEAT_MS,
        .publish_rate = world.publish_rate,
        .republish_rate = world.republish_rate,
        .max_articles = world.max_articles,
    };
    struct store_link_config link = {
        .redis = {.host = cluster_host(world.seed_server), .port = cluster_port(world.seed_server)},
        .on_ready = on_store_ready,
        .on_away = on_store_away,
        .on_shard = on_shard,
        .on_subscribe = on_subscribe,
        .on_message = on_message,
        .user = feed,
    };
    struct publish_config publish = {
        .host = "broker",
        .user = "tally-feed",
        .password = "secret",
        .prefix = "",
        .epoch = "0123456789abcdef",
        .on_ready = on_broker_ready,
        .on_away = on_broker_away,
        .on_collector = on_collector,
        .on_retained = on_retained,
        .on_listed = on_listed,
        .on_marked = on_marked,
        .user_data = feed,
    };
    if (feed == NULL)
        abort();
    process->program = feed;
    feed->publisher = publisher_new(process, &publisher);
    feed->link = store_link_new(process, &link);
    if (feed->link == NULL)
        abort();
    feed->subscription =
        (struct subscription){.store = feed->link, .on_hint = on_hint, .user = feed};
    feed->publish = publish_new(process, &publish, "{}");
    if (feed->publisher == NULL || feed->publish == NULL)
        abort();
    publisher_connect(feed->publisher, feed->link, feed->publish);
    process->waits = true;
}

static void turn_feed(struct event_base *process)
{
    wire_deliver(process, deliver_at_most);
    broker_deliver(process, deliver_at_most);
    platform_dispatch(process);
}

const char *programs_feed_why(unsigned edge)
{
    const struct event_base *process = &platform_process[edge][PLATFORM_FEED];
    const struct feed *feed = process->program;
    return process->alive ? store_link_why(feed->link) : "it does not run";
}

/* --- both --- */

void programs_start(struct event_base *process, bool adopt)
{
    if (process->alive)
        return;
    process->alive = true;
    process->fuse = 0;
    with_adopt = adopt;
    if (adopt && process->kind == PLATFORM_COLLECTOR)
        judge_adopts(process->edge);
    world_tell("%s %u starts%s", process->kind == PLATFORM_FEED ? "feed" : "collector",
               process->edge, adopt ? " with --adopt" : "");
    run(process, process->kind == PLATFORM_FEED ? start_feed : start_collector);
}

bool programs_due(const struct event_base *process)
{
    if (!process->alive || process->frozen)
        return false;
    return !process->waits || platform_due(process) || wire_due(process) || broker_due(process);
}

void programs_turn(struct event_base *process, unsigned n)
{
    if (!programs_due(process))
        return;
    deliver_at_most = n;
    run(process, process->kind == PLATFORM_FEED ? turn_feed : turn_collector);
}

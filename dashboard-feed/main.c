/* tally-feed: publishes each article's total as it changes, and serves pages, totals, metrics and
 * health. Here the parts are made, connected and taken down; DESIGN says what each does. */
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/start.h"
#include "feed_settings.h"
#include "forget.h"
#include "health.h"
#include "http.h"
#include "metrics.h"
#include "prober.h"
#include "publish.h"
#include "publisher.h"
#include "ready.h"
#include "redis/redis_config.h"
#include "state_sync.h"
#include "store_link.h"
#include "subscription.h"

#include <event2/event.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define HEALTH_CHECK_MS 250
#define STOP_MAX_MS 1200 /* with half a second for DISCONNECT, under 2 s in all */

struct feed {
    struct event_base *base;
    const struct feed_settings *settings;
    struct event *sigterm, *sigint, *sighup, *check, *deadline;
    struct notify *notify;
    struct store_link *link;
    struct redis_config redis;
    struct subscription subscription;
    struct publish *publish;
    struct publisher *publisher;
    struct state_sync *state_sync;
    struct forget *forget;
    struct prober *prober;
    struct creation creation;
    struct http *http;
    struct health health;
    struct ready ready;
    double started_at_s;
    bool stopping;
};

/* ---- health ---- */

static void check_health(struct feed *feed)
{
    bool was_ok = feed->health.ok;
    if (feed->stopping ||
        !health_check(&feed->health, store_link_why(feed->link), publish_why(feed->publish),
                      prober_why(feed->prober), clock_monotonic_ms()))
        return;
    if (was_ok != feed->health.ok)
        log_line(feed->health.ok ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "health", "json=%s",
                 feed->health.json);
    notify_status(feed->notify, feed->health.ok ? "" : feed->health.json);
    publish_health(feed->publish, feed->health.json);
}

static void on_check(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    check_health(user);
}

static const char *on_health(void *user, bool *ok)
{
    struct feed *feed = user;
    check_health(feed);
    *ok = feed->health.ok;
    return feed->health.json;
}

static const char *on_ready(void *user, bool *ok)
{
    struct feed *feed = user;
    const struct ready_now now = {
        .broker = publish_why(feed->publish),
        .collector_fresh = health_collector_fresh(&feed->health, clock_monotonic_ms()),
        .states_loaded = state_sync_is_loaded(feed->state_sync),
        .stopping = feed->stopping,
    };
    *ok = ready_check(&feed->ready, &now);
    return feed->ready.json;
}

static void on_metrics(void *user, struct evbuffer *out)
{
    struct feed *feed = user;
    struct metrics metrics = {
        .started_at_s = feed->started_at_s,
        .topic_prefix = feed->settings->links.topic_prefix,
        .healthy = feed->health.ok,
        .redis_up = store_link_why(feed->link)[0] == '\0',
        .shards_away = store_link_shards_away(feed->link),
        .broker_up = publish_ready(feed->publish),
        .store_link = store_link_stats(feed->link),
        .publish = publish_stats(feed->publish),
        .publisher = publisher_stats(feed->publisher),
        .state_sync = state_sync_stats(feed->state_sync),
        .http = http_stats(feed->http),
        .creation = feed->creation,
        .probe = prober_probe(feed->prober),
    };
    if (health_collector_fresh(&feed->health, clock_monotonic_ms()))
        metrics.collector = &feed->health.collector;
    metrics_write(out, &metrics);
}

/* ---- what the parts tell ---- */

static void on_store_ready(void *user)
{
    struct feed *feed = user;
    publisher_store_ready(feed->publisher);
    state_sync_store_ready(feed->state_sync);
}

static void on_store_away(void *user)
{
    struct feed *feed = user;
    publisher_store_away(feed->publisher);
}

static void on_shard(void *user, uint32_t shard, bool ready)
{
    struct feed *feed = user;
    publisher_shard(feed->publisher, shard, ready);
    state_sync_shard(feed->state_sync, shard, ready);
}

static void on_subscribe(void *user, struct redis_link *redis, unsigned shard)
{
    const struct feed *feed = user;
    subscription_begin(&feed->subscription, redis, shard);
}

static void on_message(void *user, const redisReply *reply)
{
    const struct feed *feed = user;
    subscription_take(&feed->subscription, reply);
}

static void on_hint(void *user, uint32_t shard)
{
    struct feed *feed = user;
    publisher_hint(feed->publisher, shard);
}

static void on_state(void *user, const char *article, size_t bytes)
{
    struct feed *feed = user;
    state_sync_changed(feed->state_sync, article, bytes);
}

static void on_broker_ready(void *user, const struct publish_mark *mark)
{
    struct feed *feed = user;
    publisher_broker_ready(feed->publisher, mark);
    state_sync_broker_ready(feed->state_sync);
}

static void on_broker_connected(void *user)
{
    struct feed *feed = user;
    state_sync_broker_connected(feed->state_sync);
}

static void on_retained(void *user, const char *article, size_t bytes, uint64_t version)
{
    struct feed *feed = user;
    publisher_retained(feed->publisher, article, bytes, version);
}

static void on_listed(void *user)
{
    struct feed *feed = user;
    publisher_listed(feed->publisher);
    state_sync_judge(feed->state_sync);
}

static void on_article(void *user, const char *article, const char *payload, size_t bytes)
{
    struct feed *feed = user;
    state_sync_heard(feed->state_sync, article, payload, bytes);
}

static enum publisher_view on_total(void *user, const struct lookup_total *total, bool repeat)
{
    struct feed *feed = user;
    return state_sync_total(feed->state_sync, total, repeat);
}

static void on_shown(void *user, const char *article, size_t bytes)
{
    struct feed *feed = user;
    publisher_renew(feed->publisher, article, bytes);
}

static void on_broker_away(void *user)
{
    struct feed *feed = user;
    health_forget_collector(&feed->health);
    feed->creation.heard = false;
    publisher_broker_away(feed->publisher);
}

static void on_collector(void *user, const char *payload, size_t bytes)
{
    struct feed *feed = user;
    health_collector(&feed->health, payload, bytes, clock_monotonic_ms());
    ready_collector(&feed->ready, &feed->health.collector);
    store_link_collector(feed->link, feed->health.collector.store);
    prober_edge(feed->prober, feed->health.collector.edge);
}

static void on_quiet(void *user, const char *payload, size_t bytes)
{
    struct feed *feed = user;
    forget_heard(feed->forget, payload, bytes);
}

static void on_refusals(void *user, const char *payload, size_t bytes)
{
    struct feed *feed = user;
    (void)creation_parse(&feed->creation, payload, bytes);
    ready_refusals(&feed->ready, payload, bytes);
}

static void on_marked(void *user)
{
    struct feed *feed = user;
    publisher_marked(feed->publisher);
}

static void on_stopped(void *user)
{
    struct feed *feed = user;
    event_base_loopbreak(feed->base);
}

static void on_deadline(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    log_line(LOG_LEVEL_WARNING, "ending before all was published", "limit_ms=%d", STOP_MAX_MS);
    on_stopped(user);
}

static void on_signal(evutil_socket_t fd, short what, void *user)
{
    struct feed *feed = user;
    (void)what;
    if (feed->stopping)
        return;
    log_line(LOG_LEVEL_INFO, "stopping", "signal=%d", (int)fd);
    feed->stopping = true;
    notify_stopping(feed->notify);
    events_arm(feed->deadline, STOP_MAX_MS);
    health_offline(&feed->health);
    publish_health(feed->publish, feed->health.json);
    prober_stop(feed->prober);
    publisher_stop(feed->publisher);
}

static int take_secret(void *user, const char *secret)
{
    struct feed *feed = user;
    if (prober_set_password(feed->prober, secret) != 0)
        return -1;
    return publish_set_password(feed->publish, secret);
}

static int take_password(void *user, const char *password)
{
    const struct feed *feed = user;
    return store_link_set_password(feed->link, password);
}

static void on_hang_up(evutil_socket_t fd, short what, void *user)
{
    struct feed *feed = user;
    const struct reload_to to = {.broker = take_secret, .redis = take_password, .user = feed};
    (void)fd;
    (void)what;
    if (!feed->stopping)
        reload_secrets(&feed->settings->links, ROLE_FEED, &to);
}

/* ---- making and taking down ---- */

static int make_events(struct feed *feed)
{
    feed->sigterm = evsignal_new(feed->base, SIGTERM, on_signal, feed);
    feed->sigint = evsignal_new(feed->base, SIGINT, on_signal, feed);
    feed->sighup = evsignal_new(feed->base, SIGHUP, on_hang_up, feed);
    feed->check = event_new(feed->base, -1, EV_PERSIST, on_check, feed);
    feed->deadline = evtimer_new(feed->base, on_deadline, feed);
    feed->notify = notify_new(feed->base);
    return feed->notify == NULL || feed->sigterm == NULL || feed->sigint == NULL ||
                   feed->sighup == NULL || feed->check == NULL || feed->deadline == NULL ||
                   evsignal_add(feed->sigterm, NULL) != 0 ||
                   evsignal_add(feed->sigint, NULL) != 0 || evsignal_add(feed->sighup, NULL) != 0 ||
                   events_arm(feed->check, HEALTH_CHECK_MS) != 0
               ? -1
               : 0;
}

static int make_publisher(struct feed *feed, const struct feed_settings *settings)
{
    struct publisher_config config = {
        .interval_ms = settings->publish_interval_ms,
        .publish_rate = settings->publish_rate,
        .repeat_ms = settings->repeat_ms,
        .republish_rate = settings->republish_rate,
        .max_articles = settings->max_articles,
        .on_stopped = on_stopped,
        .on_total = on_total,
        .user = feed,
    };
    struct state_sync_config sync = {
        .max_states = settings->max_states,
        .publish_rate = settings->republish_rate,
        .on_shown = on_shown,
        .user = feed,
    };
    randombytes_buf(config.seed, sizeof config.seed);
    randombytes_buf(sync.seed, sizeof sync.seed);
    feed->publisher = publisher_new(feed->base, &config);
    feed->state_sync = state_sync_new(feed->base, &sync);
    feed->forget = forget_new(feed->base, settings->forgotten_s);
    return feed->publisher == NULL || feed->state_sync == NULL || feed->forget == NULL ? -1 : 0;
}

static int make_redis_links(struct feed *feed, const struct feed_settings *settings,
                            struct error *error)
{
    const char *password = settings->secrets.redis[0] != '\0' ? settings->secrets.redis : NULL;
    if (redis_config_init(&feed->redis, &settings->links, password, error) != 0)
        return -1;
    const struct store_link_config link = {
        .redis = feed->redis.link,
        .url = &feed->redis.url,
        .on_ready = on_store_ready,
        .on_away = on_store_away,
        .on_shard = on_shard,
        .on_subscribe = on_subscribe,
        .on_message = on_message,
        .user = feed,
    };
    feed->link = store_link_new(feed->base, &link);
    feed->subscription = (struct subscription){
        .store = feed->link, .on_hint = on_hint, .on_state = on_state, .user = feed};
    return feed->link != NULL ? 0 : -1;
}

static int make_links(struct feed *feed, const struct feed_settings *settings, struct error *error)
{
    unsigned char epoch[PUBLISH_EPOCH_BYTES / 2];
    struct publish_config publish = {
        .host = settings->links.mqtt_host,
        .port = (int)settings->links.mqtt_port,
        .user = settings->links.user,
        .password = settings->secrets.mqtt,
        .prefix = settings->links.topic_prefix,
        .on_ready = on_broker_ready,
        .on_away = on_broker_away,
        .on_connected = on_broker_connected,
        .on_article = on_article,
        .on_retained = on_retained,
        .on_listed = on_listed,
        .on_collector = on_collector,
        .on_quiet = on_quiet,
        .on_refusals = on_refusals,
        .hears_broker = true,
        .on_marked = on_marked,
        .user_data = feed,
    };
    randombytes_buf(epoch, sizeof epoch);
    sodium_bin2hex(publish.epoch, sizeof publish.epoch, epoch, sizeof epoch);
    if (make_redis_links(feed, settings, error) != 0)
        return -1;
    feed->publish = publish_new(feed->base, &publish, feed->health.json);
    if (feed->publish == NULL)
        return -1;
    feed->prober =
        prober_new(feed->base, &publish, settings->probe_interval_ms, feed->link, feed->publish);
    if (feed->prober == NULL)
        return -1;
    publisher_connect(feed->publisher, feed->link, feed->publish);
    state_sync_connect(feed->state_sync, feed->link, feed->publish, feed->publisher);
    forget_connect(feed->forget, feed->link, feed->publish);
    return 0;
}

static int make_http(struct feed *feed, const struct feed_settings *settings, struct error *error)
{
    struct http_config config = {
        .address = settings->http_address,
        .port = (uint16_t)settings->http_port,
        .websocket_url = settings->websocket_url,
        .websocket_port = (uint16_t)settings->websocket_port,
        .topic_prefix = settings->links.topic_prefix,
        .link = feed->link,
        .rate = settings->http_rate,
        .proxies = &settings->proxy_nets,
        .health = on_health,
        .ready = on_ready,
        .metrics = on_metrics,
        .user = feed,
    };
    randombytes_buf(&config.seed, sizeof config.seed);
    feed->http = http_new(feed->base, &config, error);
    return feed->http == NULL ? -1 : 0;
}

static void take_down(struct feed *feed)
{
    /* First: it answers what http, publisher, state_sync and forget have asked. */
    store_link_free(feed->link);
    redis_config_fini(&feed->redis);
    http_free(feed->http);
    prober_free(feed->prober);
    publish_free(feed->publish);
    publisher_free(feed->publisher);
    state_sync_free(feed->state_sync);
    forget_free(feed->forget);
    events_free(feed->sigterm);
    events_free(feed->sigint);
    events_free(feed->sighup);
    events_free(feed->check);
    events_free(feed->deadline);
    notify_free(feed->notify);
    if (feed->base != NULL)
        event_base_free(feed->base);
}

static int feed_run(struct feed *feed, struct feed_settings *settings)
{
    struct error error = {"no memory"};
    int result = -1;
    feed->started_at_s = (double)time(NULL);
    feed->settings = settings;
    health_init(&feed->health);
    ready_init(&feed->ready);
    feed->base = event_base_new();
    if (feed->base == NULL || make_events(feed) != 0 || make_publisher(feed, settings) != 0 ||
        make_links(feed, settings, &error) != 0 || make_http(feed, settings, &error) != 0) {
        log_line(LOG_LEVEL_ERROR, error.text, NULL);
        goto out;
    }
    feed_settings_wipe(settings); /* the links have copies */
    start_hold_signals(false);
    log_line(LOG_LEVEL_INFO, "serving", "http=%s port=%d", settings->http_address,
             (int)settings->http_port);
    notify_ready(feed->notify);
    event_base_dispatch(feed->base);
    log_line(LOG_LEVEL_INFO, "ended", NULL);
    result = 0;
out:
    take_down(feed);
    return result;
}

int main(int argc, char **argv)
{
    struct feed_settings settings;
    struct feed feed = {0};
    struct error error;
    log_init("tally-feed", LOG_LEVEL_INFO);
    start_hold_signals(true);
    int read = feed_settings_read(&settings, argc, argv, environ, &error);
    if (read < 0)
        log_line(LOG_LEVEL_ERROR, error.text, NULL);
    if (read != 0)
        return read < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    log_init("tally-feed", settings.log_level);
    log_use(settings.log_format);
    signal(SIGPIPE, SIG_IGN);
    start_libevent_log();
    if (sodium_init() < 0) {
        log_line(LOG_LEVEL_ERROR, "cannot initialise libsodium", NULL);
        return EXIT_FAILURE;
    }
    int result = feed_run(&feed, &settings);
    feed_settings_wipe(&settings);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

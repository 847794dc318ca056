/* The loop, and the wiring of the parts to it: spool, Redis, broker, rings, audit, status. */
#include "serve.h"

#include "receipt.h"
#include "report.h"
#include "rings.h"
#include "self_audit.h"
#include "session.h"
#include "status.h"
#include "watch.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/mqtt_link.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "redis/redis_config.h"
#include "spool/ring.h"
#include "spool/spool_consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_MS 100 /* longest sleep */
#define SECOND_MS 1000
#define NAP_NS 200000    /* another look costs less than a wake-up by the plugin, … */
#define NAPS 5           /* … so it looks this often before it sleeps */
#define GATHER_LOOK_MS 2 /* between two looks at all rings while one ring is gathering */
#define SOON_MS 20       /* an answer that takes longer may never come */
#define STOP_MS 2000
#define TOPIC "ops/collector"
#define AUDIT_TOPIC "ops/audit"

struct serve {
    struct event_base *base;
    const struct collector_settings *settings;
    struct session *session;
    struct mqtt_link *mqtt;
    struct receipt_box *receipts;
    struct self_audit *audit;
    struct notify *notify;
    struct watch *watch;
    struct event *tick, *wake;
    struct event *resume; /* to check an audit's pause again */
    struct gather_load gather_load;
    struct rings *rings;
    struct spool *spool;
    char spool_why[256];
    bool failed;
    bool asleep;         /* as the plugin sees it */
    unsigned awaited;    /* answers, at the last look */
    uint64_t awaited_ms; /* when their number was another one */

    bool stopping;
    uint64_t stop_ms, second_ms;
    int64_t clock_skew_ms;
    bool clock_bad;      /* as the plugin sees it */
    unsigned clocks_off; /* servers whose clock is not ours */
    bool joined;         /* a store has accepted this edge, now or before */
    struct status_counts counts;
    struct timings timings;
    bool ready; /* as last reported */
    char reason[STATUS_REASON_BYTES];
};

/* --- the session's callbacks --- */

static void on_judge(void *user, struct store_rings *out)
{
    const struct serve *serve = user;
    rings_describe(serve->rings, out);
}

static void on_ready(void *user, bool adopted)
{
    struct serve *serve = user;
    serve->joined = true;
    if (!serve->ready)
        event_active(serve->tick, EV_TIMEOUT, 0);
    rings_accept(serve->rings, session_store(serve->session)->id, adopted);
}

static void on_clock(void *user, int64_t skew_ms, unsigned off, unsigned servers)
{
    struct serve *serve = user;
    bool bad = 2 * off >= servers; /* then it is ours, not one server's */
    serve->clock_skew_ms = skew_ms;
    serve->clocks_off = off;
    if (serve->spool == NULL)
        return;
    if (bad != serve->clock_bad)
        log_line(bad ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
                 bad ? "the clock is not Redis's: reactions are refused" : "the clocks agree",
                 "skew_ms=%" PRId64, skew_ms);
    serve->clock_bad = bad;
    if (spool_clock_bad(serve->spool) != bad)
        spool_consumer_set_clock_bad(serve->spool, bad);
}

/* --- the status --- */

static struct report report_of(const struct serve *serve)
{
    return (struct report){
        .spool = serve->spool,
        .session = serve->session,
        .rings = serve->rings,
        .spool_why = serve->spool_why,
        .clock_skew_ms = serve->clock_skew_ms,
        .clock_bad = serve->clock_bad,
        .clocks_off = serve->clocks_off,
        .joined = serve->joined,
        .ready = serve->ready,
    };
}

static void fill_status(void *user, struct status *status)
{
    const struct serve *serve = user;
    const struct report report = report_of(serve);
    memset(status, 0, sizeof *status);
    report_fill(&report, status);
    memcpy(status->reason, serve->reason, sizeof status->reason);
    status->at_ms = clock_unix_ms();
    status->counts = serve->counts;
    status->receipts = receipt_sent(serve->receipts);
    status->receipts_dropped = receipt_dropped(serve->receipts);
    status->audited = self_audit_counts(serve->audit)->audited;
    status->audit_differing = self_audit_counts(serve->audit)->differing;
    status->audit_skipped = self_audit_counts(serve->audit)->skipped;
}

static void publish_retained(struct serve *serve, const char *name, const char *text)
{
    char topic[OPTION_TEXT_MAX_BYTES + sizeof TOPIC];
    snprintf(topic, sizeof topic, "%s%s", serve->settings->links.topic_prefix, name);
    (void)mqtt_link_publish(serve->mqtt, topic, text, strlen(text), 0, true, NULL, NULL);
}

static void publish_status(struct serve *serve)
{
    static struct status status; /* large */
    if (!mqtt_link_up(serve->mqtt))
        return;
    fill_status(serve, &status);
    char *text = status_write(&status);
    if (text != NULL)
        publish_retained(serve, TOPIC, text);
    free(text);
}

/* Publishes a change at once. */
static bool look_at_self(struct serve *serve)
{
    char reason[STATUS_REASON_BYTES];
    const struct report report = report_of(serve);
    report_reason(&report, reason);
    if (serve->ready == (reason[0] == '\0') && strcmp(reason, serve->reason) == 0)
        return false;
    serve->ready = reason[0] == '\0';
    memcpy(serve->reason, reason, sizeof reason);
    notify_status(serve->notify, reason);
    log_line(serve->ready ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
             serve->ready ? "ready" : "not ready", "reason=%s", reason);
    return true;
}

static void on_audit(void *user, const char *json)
{
    publish_retained(user, AUDIT_TOPIC, json);
}

static void on_mqtt_up(void *user)
{
    struct serve *serve = user;
    publish_status(serve);
    self_audit_say(serve->audit); /* another broker may not have it */
    receipt_flush(serve->receipts);
}

/* --- the loop --- */

static void on_wake(evutil_socket_t fd, short what, void *user)
{
    struct serve *serve = user;
    (void)fd;
    (void)what;
    spool_consumer_wake_clear(serve->spool);
    serve->counts.wakeups++;
}

static void say_file_system(const char *path)
{
    bool safe, survives;
    const char *name = spool_file_system(path, &safe, &survives);
    if (!safe)
        log_line(LOG_LEVEL_WARNING, "the spool is on an unsafe file system", "file_system=%s",
                 name);
    else
        log_line(LOG_LEVEL_INFO, "spool opened", "path=%s file_system=%s survives_reboot=%s", path,
                 name, survives ? "yes" : "no");
}

static void open_spool(struct serve *serve)
{
    bool retry;
    struct error error;
    char why[sizeof serve->spool_why];
    serve->spool = spool_consumer_open(serve->settings->spool, &retry, &error);
    if (serve->spool != NULL) {
        serve->wake = event_new(serve->base, spool_consumer_wake_fd(serve->spool),
                                EV_READ | EV_PERSIST, on_wake, serve);
        if (serve->wake != NULL && event_add(serve->wake, NULL) == 0) {
            rings_open(serve->rings, serve->spool);
            serve->clock_bad = spool_clock_bad(serve->spool);
            say_file_system(serve->settings->spool);
            return;
        }
        retry = false;
        error_set(&error, "no memory");
    }
    error_copy(&error, why, sizeof why);
    if (strcmp(why, serve->spool_why) != 0)
        log_line(retry ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, retry ? "waiting for the spool" : why,
                 "reason=%s", why);
    snprintf(serve->spool_why, sizeof serve->spool_why, "%s", why);
    serve->failed = !retry;
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
    struct serve *serve = user;
    uint64_t now = clock_monotonic_ms();
    (void)fd;
    (void)what;
    if (serve->stopping)
        return;
    if (serve->spool == NULL)
        open_spool(serve);
    session_tick(serve->session);
    bool second = now - serve->second_ms >= SECOND_MS;
    if (second) {
        serve->second_ms = now;
        rings_look_again(serve->rings);
    }
    if (look_at_self(serve) || second)
        publish_status(serve);
    receipt_flush(serve->receipts);
}

static void on_resume(evutil_socket_t fd, short what, void *user)
{
    (void)fd; /* waking the loop is enough: it pumps */
    (void)what;
    (void)user;
}

/* Wakes the loop when the first paused pipeline wants to continue or, if a pipeline is gathering,
 * to look at all of them. An answer that is awaited is waited for only so long. */
static void arm_resume(struct serve *serve, bool gathering, bool soon)
{
    uint64_t first = gathering ? GATHER_LOOK_MS : soon ? SOON_MS : UINT64_MAX;
    uint64_t paused_ms = rings_paused_ms(serve->rings);
    if (paused_ms < first)
        first = paused_ms;
    /* The end of a pause cannot be checked while Redis is away, so do not spin. */
    if (first == 0)
        first = 1;
    if (first != UINT64_MAX)
        events_arm(serve->resume, first);
    else
        event_del(serve->resume);
}

/* Whether an answer is about to come, which will wake the loop: then the plugin need not. Where one
 * is late, its node may hang, and reactions of other shards have to wake it. */
static bool answers_soon(struct serve *serve)
{
    uint64_t now_ms = clock_monotonic_ms();
    unsigned awaited = session_awaited(serve->session);
    if (awaited != serve->awaited)
        serve->awaited_ms = now_ms;
    serve->awaited = awaited;
    return awaited > 0 && now_ms - serve->awaited_ms < SOON_MS &&
           !rings_late(serve->rings, now_ms) && !session_late(serve->session, now_ms);
}

/* Nothing is under way and nothing was found: looks again a few times, then sleeps until a wake-up,
 * an event or the tick. While nothing may be applied, reactions need not wake it. Returns whether
 * to wait. */
static bool lie_down(struct serve *serve)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    const struct report report = report_of(serve);
    bool serving = !serve->stopping && report_shards_ready(&report) > 0;
    for (int i = 0; serving && i < NAPS; i++) {
        nanosleep(&nap, NULL);
        if (rings_have_more(serve->rings))
            return false;
    }
    serve->asleep = serving;
    if (serving)
        spool_consumer_asleep(serve->spool);
    return !serving || !rings_have_more(serve->rings);
}

bool serve_works(struct serve *serve)
{
    if (serve->spool != NULL && !serve->stopping)
        rings_pump(serve->rings);
    /* Evaluated once: a reaction between two calls would make it wait for a timer not armed. */
    bool gathering = rings_gather(serve->rings), soon = answers_soon(serve);
    arm_resume(serve, gathering, soon);
    return soon || gathering || lie_down(serve);
}

void serve_waited(struct serve *serve)
{
    if (serve->asleep)
        spool_consumer_awake(serve->spool);
    serve->asleep = false;
}

int serve_run(struct serve *serve)
{
    notify_ready(serve->notify);
    while (!serve->failed) {
        if (serve->stopping &&
            (rings_idle(serve->rings) || clock_monotonic_ms() - serve->stop_ms >= STOP_MS))
            break;
        if (serve_works(serve))
            event_base_loop(serve->base, EVLOOP_ONCE);
        serve_waited(serve);
    }
    return serve->failed ? -1 : 0;
}

static int take_secret(void *user, const char *secret)
{
    struct serve *serve = user;
    return mqtt_link_set_password(serve->mqtt, secret);
}

static int take_password(void *user, const char *password)
{
    struct serve *serve = user;
    return session_set_password(serve->session, password);
}

void serve_reload(struct serve *serve)
{
    const struct reload_to to = {.broker = take_secret, .redis = take_password, .user = serve};
    if (!serve->stopping)
        reload_secrets(&serve->settings->links, ROLE_COLLECTOR, &to);
}

void serve_stop(struct serve *serve)
{
    serve->stopping = true;
    serve->stop_ms = clock_monotonic_ms();
    log_line(LOG_LEVEL_INFO, "stopping", NULL);
    notify_stopping(serve->notify);
}

/* --- making and ending --- */

/* Comes after the spool's lock: the broker would end the connection of the collector that has the
 * spool, because both have the same client id. */
static int open_broker(struct serve *serve, const char *mqtt_secret)
{
    const struct collector_settings *settings = serve->settings;
    char topic[OPTION_TEXT_MAX_BYTES + sizeof TOPIC];
    snprintf(topic, sizeof topic, "%s" TOPIC, settings->links.topic_prefix);
    const struct mqtt_link_config mqtt = {
        .host = settings->links.mqtt_host,
        .port = (int)settings->links.mqtt_port,
        .client_id = "tally-collector",
        .username = settings->links.user,
        .password = mqtt_secret,
        .will_topic = topic,
        .will_payload = STATUS_OFFLINE,
        .on_up = on_mqtt_up,
        .user = serve,
    };
    open_spool(serve);
    if (serve->failed)
        return -1;
    serve->mqtt = mqtt_link_new(serve->base, &mqtt);
    return serve->mqtt == NULL ? -1 : 0;
}

static int open_store(struct serve *serve, const struct redis_config *redis)
{
    const struct collector_settings *settings = serve->settings;
    const struct redis_link_config plain = {.host = settings->links.redis_host,
                                            .port = (int)settings->links.redis_port};
    const struct session_config session = {
        .link = redis != NULL ? redis->link : plain,
        .url = redis != NULL ? &redis->url : NULL,
        .adopt = settings->adopt,
        .durability = settings->durability_level,
        .accelerates = settings->accelerates,
        .rings = on_judge,
        .on_ready = on_ready,
        .on_clock = on_clock,
        .user = serve,
    };
    serve->session = session_new(serve->base, &session);
    return serve->session == NULL ? -1 : 0;
}

static int make_parts(struct serve *serve)
{
    const struct collector_settings *settings = serve->settings;
    const struct pipeline_shared shared = {
        .session = serve->session,
        .receipts = serve->receipts,
        .counts = &serve->counts,
        .timings = &serve->timings,
        .batch_records = (size_t)settings->batch_records,
        .in_flight_max = (unsigned)settings->in_flight,
        .gather_load = &serve->gather_load,
        .gather_phase_ms = (unsigned)(clock_monotonic_ms() % PIPELINE_GATHER_MAX_MS),
    };
    const struct self_audit_config audit = {
        .session = serve->session,
        .per_minute = (unsigned)settings->audit_per_minute,
        .say = on_audit,
        .user = serve,
    };
    serve->rings = rings_new(&shared);
    serve->audit = self_audit_new(serve->base, &audit);
    return serve->rings == NULL || serve->audit == NULL ? -1 : 0;
}

/* After the spool's lock, too: a second collector should hear of that, not of the port. */
static int open_watch(struct serve *serve)
{
    struct error error;
    const struct watch_config watch = {.settings = serve->settings,
                                       .timings = &serve->timings,
                                       .status = fill_status,
                                       .user = serve};
    serve->watch = watch_new(serve->base, &watch, &error);
    if (serve->watch != NULL)
        return 0;
    log_line(LOG_LEVEL_ERROR, error.text, NULL);
    return -1;
}

struct serve *serve_new(struct event_base *base, const struct collector_settings *settings,
                        const char *mqtt_secret, const struct redis_config *redis)
{
    struct serve *serve = calloc(1, sizeof *serve);
    if (serve == NULL)
        return NULL;
    serve->base = base;
    serve->settings = settings;
    timings_init(&serve->timings);
    serve->receipts = receipt_new(settings->links.topic_prefix);
    serve->notify = notify_new(base);
    serve->tick = event_new(base, -1, EV_PERSIST, on_tick, serve);
    serve->resume = event_new(base, -1, 0, on_resume, serve);
    if (serve->receipts == NULL || serve->notify == NULL || serve->tick == NULL ||
        serve->resume == NULL || open_store(serve, redis) != 0 || make_parts(serve) != 0 ||
        open_broker(serve, mqtt_secret) != 0 || open_watch(serve) != 0 ||
        events_arm(serve->tick, TICK_MS) != 0) {
        serve_free(serve);
        return NULL;
    }
    receipt_connect(serve->receipts, serve->mqtt);
    event_active(serve->tick, EV_TIMEOUT, 0);
    return serve;
}

void serve_free(struct serve *serve)
{
    if (serve == NULL)
        return;
    if (serve->mqtt != NULL && mqtt_link_up(serve->mqtt)) {
        receipt_flush(serve->receipts);
        publish_retained(serve, TOPIC, STATUS_OFFLINE); /* the will is dropped with a DISCONNECT */
    }
    watch_free(serve->watch);
    mqtt_link_free(serve->mqtt);
    session_free(serve->session); /* calls back what is under way */
    self_audit_free(serve->audit);
    rings_free(serve->rings);
    receipt_free(serve->receipts);
    notify_free(serve->notify);
    events_free(serve->wake);
    events_free(serve->tick);
    events_free(serve->resume);
    spool_free(serve->spool);
    free(serve);
}

#include "serve.h"

#include "lane.h"
#include "ledger.h"
#include "receipt.h"
#include "self_audit.h"
#include "session.h"
#include "source.h"
#include "status.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/mqtt_link.h"
#include "daemon/reload.h"
#include "spool/ring.h"
#include "spool/spool_consumer.h"

#include <errno.h>
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
#define STOP_MS 2000
/* How long a drained ring is kept: longer than a Redis with appendfsync everysec can lose (2 s). */
#define OLD_KEEP_MS 5000
#define OLD_MAX (SPOOL_SHARDS_MAX * SPOOL_OLD_MAX)
#define TOPIC "ops/collector"
#define AUDIT_TOPIC "ops/audit"
#define FULL                                                                                       \
    "redis: full: its memory has reached maxmemory, and it takes no reactions; raise maxmemory"

/* An old ring that is being drained, or waits for its turn (one per shard at a time), or has been
 * drained and is kept for a while. */
struct old {
    struct spool_consumer_old file;
    uint64_t drained_ms; /* 0: not drained */
    bool told;           /* the failure to delete it was logged */
    void *memory;
    uint64_t bytes;
    struct lane *lane;
};

struct serve {
    struct event_base *base;
    const struct settings *settings;
    struct session *session;
    struct mqtt_link *mqtt;
    struct receipt_box *receipts;
    struct self_audit *audit;
    struct ledger *ledger;
    struct lane_shared shared;
    struct event *tick, *wake;
    struct event *resume; /* to check an audit's pause again */

    struct spool *spool;
    char spool_why[256];
    bool failed;
    unsigned shards;
    struct lane *lane[SPOOL_SHARDS_MAX]; /* current rings; NULL none */
    char shard_why[SPOOL_SHARDS_MAX][APPLY_HELD_BYTES];
    struct old old[OLD_MAX];
    int olds;
    struct spool_consumer_old unreadable[OLD_MAX]; /* counted, not yet moved away */
    int unreadables;
    bool list_old;   /* there may be unknown old rings */
    bool missed_old; /* there are, or listing them failed: try again */
    bool asleep;     /* as the plugin sees it */

    bool stopping;
    uint64_t stop_ms, second_ms;
    int64_t clock_skew_ms;
    bool clock_bad;
    struct status_counts counts;
    bool ready; /* as last reported */
    char reason[STATUS_REASON_BYTES];
};

/* All lanes, first of current rings, then of old ones; NULL for a shard without a lane. */
static unsigned lanes(const struct serve *serve)
{
    return serve->shards + (unsigned)serve->olds;
}

static struct lane *lane_at(const struct serve *serve, unsigned i)
{
    return i < serve->shards ? serve->lane[i] : serve->old[i - serve->shards].lane;
}

/* --- rings --- */

/* Switches to the shard's current ring file, once nothing of the former one is under way. */
static void follow_ring(struct serve *serve, unsigned shard)
{
    struct ring_identity identity;
    struct lane *lane = serve->lane[shard];
    char *why = serve->shard_why[shard];
    char said[APPLY_HELD_BYTES];
    void *memory;
    uint64_t bytes;
    if (!spool_consumer_ring_replaced(serve->spool, shard) || (lane != NULL && !lane_idle(lane)))
        return;
    memcpy(said, why, sizeof said);
    int got =
        spool_consumer_ring(serve->spool, shard, &memory, &bytes, &identity, why, sizeof said);
    if (got == 0 && lane != NULL)
        return;
    lane_free(lane);
    serve->lane[shard] = NULL;
    serve->list_old = true;
    if (got >= 0) {
        struct source *source = source_new(memory, bytes, &identity, false, why, sizeof said);
        if (source != NULL)
            serve->lane[shard] = lane_new(&serve->shared, source);
        else /* its header is invalid: the plugin must begin another ring */
            ring_want_rotation(memory);
    }
    if (serve->lane[shard] != NULL) {
        why[0] = '\0';
        log_line(LOG_LEVEL_INFO, "ring opened", "shard=%u ring=%016" PRIx64, shard,
                 identity.ring_id);
        session_look(serve->session);
    } else if (strcmp(said, why) != 0) {
        log_line(LOG_LEVEL_WARNING, "no ring", "shard=%u reason=%s", shard, why);
    }
}

static bool known(const struct serve *serve, const struct spool_consumer_old *file)
{
    const struct lane *lane = serve->lane[file->shard];
    for (int i = 0; i < serve->olds; i++)
        if (serve->old[i].file.shard == file->shard && serve->old[i].file.ring_id == file->ring_id)
            return true;
    /* Renamed a moment ago; the switch to the next one is still due. */
    return lane != NULL && source_identity(lane_source(lane))->ring_id == file->ring_id;
}

enum opened { OPENED, UNREADABLE, NOT_NOW };

/* A shortage in this process (descriptors, memory) proves nothing about the ring. */
static enum opened open_old(struct serve *serve, const struct spool_consumer_old *file, char *why,
                            size_t why_bytes)
{
    struct old *old = &serve->old[serve->olds];
    struct ring_identity identity;
    enum opened result = UNREADABLE;
    *old = (struct old){.file = *file};
    int mapped = spool_consumer_map_old(file, &old->memory, &old->bytes, why, why_bytes);
    if (mapped != 0)
        return mapped < 0 ? UNREADABLE : NOT_NOW;
    if (ring_identify(old->memory, old->bytes, &identity, why, why_bytes) != 0)
        goto fail;
    if (identity.shard != file->shard) {
        snprintf(why, why_bytes, "it is of shard %u", identity.shard);
        goto fail;
    }
    struct source *source = source_new(old->memory, old->bytes, &identity, true, why, why_bytes);
    old->lane = source == NULL ? NULL : lane_new(&serve->shared, source);
    if (old->lane == NULL) {
        result = NOT_NOW;
        goto fail;
    }
    serve->olds++;
    return OPENED;
fail:
    spool_consumer_unmap_old(old->memory, old->bytes);
    return result;
}

static bool is_listed(const struct spool_consumer_old *file, const struct spool_consumer_old *list,
                      int n)
{
    for (int i = 0; i < n; i++)
        if (list[i].shard == file->shard && list[i].ring_id == file->ring_id)
            return true;
    return false;
}

/* Counted and logged when found. Until it can be moved away, it is found every second. */
static void put_away(struct serve *serve, const struct spool_consumer_old *file, const char *why)
{
    bool first = !is_listed(file, serve->unreadable, serve->unreadables);
    if (first) {
        serve->counts.damaged++;
        log_line(LOG_LEVEL_ERROR, "an old ring cannot be read and is put away", "path=%s reason=%s",
                 file->path, why);
    }
    if (spool_consumer_put_away(serve->spool, file) >= 0 || !first)
        return;
    log_line(LOG_LEVEL_ERROR, "an old ring cannot be put away: it is tried each second", "path=%s",
             file->path);
    if (serve->unreadables < OLD_MAX)
        serve->unreadable[serve->unreadables++] = *file;
}

/* Forgets rings that no longer exist because they were moved or removed. */
static void forget_unreadable(struct serve *serve, const struct spool_consumer_old *list, int n)
{
    for (int i = serve->unreadables - 1; i >= 0; i--)
        if (!is_listed(&serve->unreadable[i], list, n))
            serve->unreadable[i] = serve->unreadable[--serve->unreadables];
}

static void find_old(struct serve *serve)
{
    struct spool_consumer_old file[OLD_MAX];
    char why[APPLY_HELD_BYTES] = "no memory";
    int n = spool_consumer_list_old(serve->spool, file, OLD_MAX);
    serve->list_old = false;
    serve->missed_old = n < 0;
    if (n >= 0)
        forget_unreadable(serve, file, n);
    for (int i = 0; i < n && serve->olds < OLD_MAX; i++) {
        if (file[i].shard >= serve->shards || known(serve, &file[i]))
            continue;
        switch (open_old(serve, &file[i], why, sizeof why)) {
        case OPENED:
            log_line(LOG_LEVEL_WARNING, "an old ring is to be drained", "shard=%u ring=%016" PRIx64,
                     file[i].shard, file[i].ring_id);
            session_look(serve->session);
            break;
        case NOT_NOW:
            serve->missed_old = true;
            log_line(LOG_LEVEL_WARNING, "an old ring cannot be opened yet", "path=%s reason=%s",
                     file[i].path, why);
            break;
        case UNREADABLE:
            put_away(serve, &file[i], why);
            break;
        }
    }
}

static void close_old(struct serve *serve, int i)
{
    lane_free(serve->old[i].lane);
    spool_consumer_unmap_old(serve->old[i].memory, serve->old[i].bytes);
    serve->old[i] = serve->old[--serve->olds];
}

/* Only its rings tell which store this edge belongs to (on_ready). The last ring therefore stays
 * until there is another, which the plugin is about to begin. */
static bool is_last_ring(const struct serve *serve)
{
    for (unsigned i = 0; i < serve->shards; i++)
        if (serve->lane[i] != NULL)
            return false;
    return serve->olds == 1;
}

/* First the file, then the numbers. In the reverse order, a crash in between would drain the file
 * again with its position unknown, and the books would count it twice. */
static void finish_old(struct serve *serve, int i)
{
    struct old *old = &serve->old[i];
    uint64_t damaged = source_damaged(lane_source(old->lane));
    if (is_last_ring(serve))
        return;
    if (spool_consumer_delete_old(&old->file) != 0) {
        if (!old->told)
            log_line(LOG_LEVEL_ERROR, "an old ring cannot be deleted: it is tried each second",
                     "path=%s error=%s", old->file.path, strerror(errno));
        old->told = true;
        old->drained_ms = clock_monotonic_ms() - OLD_KEEP_MS + SECOND_MS;
        return;
    }
    serve->counts.damaged += damaged;
    log_line(damaged > 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "an old ring is drained",
             "shard=%u ring=%016" PRIx64 " damaged=%" PRIu64, old->file.shard, old->file.ring_id,
             damaged);
    ledger_fold(serve->ledger, old->file.shard, old->file.ring_id);
    close_old(serve, i);
}

/* --- the ledger's callbacks --- */

static bool on_here(void *user, unsigned shard, uint64_t ring_id)
{
    const struct spool_consumer_old file = {.shard = shard, .ring_id = ring_id};
    return known(user, &file);
}

static bool on_complete(void *user)
{
    const struct serve *serve = user;
    if (serve->list_old || serve->missed_old)
        return false;
    for (unsigned i = 0; i < serve->shards; i++)
        if (serve->lane[i] == NULL || spool_consumer_ring_replaced(serve->spool, i))
            return false;
    return true;
}

/* --- the session's callbacks --- */

static void on_judge(void *user, struct store_rings *out)
{
    const struct serve *serve = user;
    for (unsigned i = 0; i < lanes(serve); i++) {
        if (lane_at(serve, i) == NULL)
            continue;
        const struct source *source = lane_source(lane_at(serve, i));
        store_rings_add(out, source_identity(source), ring_store_id(source_memory(source)));
    }
}

/* Once one ring has applied to the store, or another store was adopted, all rings belong to the
 * store. A ring that has applied nothing yet must not make the edge forget its store. */
static void on_ready(void *user, bool adopted)
{
    struct serve *serve = user;
    uint64_t id = session_store(serve->session)->id;
    struct store_rings rings;
    if (!serve->ready)
        event_active(serve->tick, EV_TIMEOUT, 0);
    store_rings_init(&rings);
    on_judge(serve, &rings);
    if (rings.applied == 0 && !adopted)
        return;
    for (unsigned i = 0; i < lanes(serve); i++)
        if (lane_at(serve, i) != NULL)
            ring_set_store_id(source_memory(lane_source(lane_at(serve, i))), id);
}

static void on_clock(void *user, int64_t skew_ms, bool bad)
{
    struct serve *serve = user;
    serve->clock_skew_ms = skew_ms;
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

/* The first missing condition, or "". */
static void find_reason(struct serve *serve, char reason[STATUS_REASON_BYTES])
{
    reason[0] = '\0';
    if (serve->spool == NULL)
        snprintf(reason, STATUS_REASON_BYTES, "%s",
                 serve->spool_why[0] != '\0' ? serve->spool_why : "spool: not open yet");
    else if (!spool_consumer_has_producer(serve->spool))
        snprintf(reason, STATUS_REASON_BYTES, "broker: away, nobody writes the spool");
    else if (!session_up(serve->session))
        snprintf(reason, STATUS_REASON_BYTES, "redis: away: %s", session_why(serve->session));
    else if (!session_ready(serve->session) && session_why(serve->session)[0] != '\0')
        snprintf(reason, STATUS_REASON_BYTES, "%s", session_why(serve->session));
    else if (session_full(serve->session))
        snprintf(reason, STATUS_REASON_BYTES, FULL);
    else if (serve->clock_bad)
        snprintf(reason, STATUS_REASON_BYTES, "clock: %" PRId64 " ms from Redis's",
                 serve->clock_skew_ms);
    for (unsigned i = 0; serve->spool != NULL && reason[0] == '\0' && i < serve->shards; i++) {
        const char *held = serve->lane[i] != NULL ? lane_held(serve->lane[i]) : serve->shard_why[i];
        if (strncmp(held, "OOM ", 4) == 0)
            snprintf(reason, STATUS_REASON_BYTES, FULL);
        else if (held[0] != '\0' || serve->lane[i] == NULL)
            snprintf(reason, STATUS_REASON_BYTES, "shard %u: %s", i,
                     held[0] != '\0' ? held : "no ring yet");
    }
    for (int i = 0; reason[0] == '\0' && i < serve->olds; i++)
        if (lane_held(serve->old[i].lane)[0] != '\0')
            snprintf(reason, STATUS_REASON_BYTES, "shard %u, an old ring: %s",
                     serve->old[i].file.shard, lane_held(serve->old[i].lane));
    /* A repeated look under way is not a reason; a first one is, because it has not succeeded yet.
     */
    if (reason[0] == '\0' && !session_ready(serve->session) && !serve->ready)
        snprintf(reason, STATUS_REASON_BYTES, "redis: being looked at");
}

static void fill_shards(struct serve *serve, struct status *status)
{
    uint64_t waiting, bytes;
    status->shards = serve->shards;
    for (unsigned i = 0; i < serve->shards; i++) {
        struct status_shard *shard = &status->shard[i];
        struct lane *lane = serve->lane[i];
        snprintf(shard->held, sizeof shard->held, "%s",
                 lane != NULL ? lane_held(lane) : serve->shard_why[i]);
        if (lane != NULL)
            source_waiting(lane_source(lane), &shard->waiting, &shard->backlog_bytes);
    }
    for (int i = 0; i < serve->olds; i++) {
        struct status_shard *shard = &status->shard[serve->old[i].file.shard];
        source_waiting(lane_source(serve->old[i].lane), &waiting, &bytes);
        shard->waiting += waiting;
        shard->backlog_bytes += bytes;
        shard->old_rings++;
        if (shard->held[0] == '\0')
            snprintf(shard->held, sizeof shard->held, "%s", lane_held(serve->old[i].lane));
    }
}

static void fill_status(struct serve *serve, struct status *status)
{
    memset(status, 0, sizeof *status);
    status->ready = serve->ready;
    memcpy(status->reason, serve->reason, sizeof status->reason);
    status->at_ms = clock_unix_ms();
    status->redis = session_up(serve->session);
    if (session_ready(serve->session))
        status->store = session_store(serve->session)->id;
    status->clock_skew_ms = serve->clock_skew_ms;
    status->counts = serve->counts;
    status->receipts = receipt_sent(serve->receipts);
    status->receipts_dropped = receipt_dropped(serve->receipts);
    status->redis_reconnects = session_reconnects(serve->session);
    status->audited = self_audit_counts(serve->audit)->audited;
    status->audit_differing = self_audit_counts(serve->audit)->differing;
    status->audit_skipped = self_audit_counts(serve->audit)->skipped;
    if (serve->spool == NULL)
        return;
    status->producer = spool_consumer_has_producer(serve->spool);
    status->edge = spool_id(serve->spool);
    status->admitted = spool_admitted(serve->spool);
    for (int i = 0; i < REASON_COUNT; i++)
        status->refused[i] = spool_refused(serve->spool, (enum reason)i);
    status->refusal_receipts_dropped = spool_receipts_dropped(serve->spool);
    fill_shards(serve, status);
}

static void publish(struct serve *serve, const char *name, const char *text)
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
        publish(serve, TOPIC, text);
    free(text);
}

/* Publishes a change at once. */
static bool look_at_self(struct serve *serve)
{
    char reason[STATUS_REASON_BYTES];
    find_reason(serve, reason);
    if (serve->ready == (reason[0] == '\0') && strcmp(reason, serve->reason) == 0)
        return false;
    serve->ready = reason[0] == '\0';
    memcpy(serve->reason, reason, sizeof reason);
    log_line(serve->ready ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
             serve->ready ? "ready" : "not ready", "reason=%s", reason);
    return true;
}

static void on_audit(void *user, const char *json)
{
    publish(user, AUDIT_TOPIC, json);
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
        log_line(LOG_LEVEL_WARNING, "the spool's file system is not safe for it", "file_system=%s",
                 name);
    else
        log_line(LOG_LEVEL_INFO, "spool opened", "path=%s file_system=%s survives_reboot=%s", path,
                 name, survives ? "yes" : "no");
}

static void open_spool(struct serve *serve)
{
    bool retry;
    char why[sizeof serve->spool_why];
    serve->spool = spool_consumer_open(serve->settings->spool, &retry, why, sizeof why);
    if (serve->spool != NULL) {
        serve->wake = event_new(serve->base, spool_consumer_wake_fd(serve->spool),
                                EV_READ | EV_PERSIST, on_wake, serve);
        if (serve->wake != NULL && event_add(serve->wake, NULL) == 0) {
            serve->shards = spool_shards(serve->spool);
            serve->shared.spool = serve->spool;
            serve->clock_bad = spool_clock_bad(serve->spool);
            serve->list_old = true;
            say_file_system(serve->settings->spool);
            return;
        }
        retry = false;
        snprintf(why, sizeof why, "no memory");
    }
    if (strcmp(why, serve->spool_why) != 0)
        log_line(retry ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, retry ? "waiting for the spool" : why,
                 "reason=%s", why);
    snprintf(serve->spool_why, sizeof serve->spool_why, "%s", why);
    serve->failed = !retry;
}

/* For rings that may have been created since, or can be opened only now. */
static void look_again(struct serve *serve)
{
    serve->list_old = serve->spool != NULL;
    for (unsigned i = 0; i < serve->shards; i++)
        if (serve->lane[i] == NULL)
            spool_consumer_look_again(serve->spool, i);
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
        look_again(serve);
    }
    if (look_at_self(serve) || second)
        publish_status(serve);
    receipt_flush(serve->receipts);
}

/* Whether this ring's turn has come: any earlier ring of the same shard in the list is drained
 * first. */
static bool has_turn(const struct serve *serve, int i)
{
    for (int k = 0; k < i; k++)
        if (serve->old[k].file.shard == serve->old[i].file.shard && serve->old[k].drained_ms == 0)
            return false;
    return true;
}

/* Drains an old ring, and deletes it once Redis has had all of it long enough to have it durably.
 * If Redis lost data meanwhile, the position is requested again and the rest is sent again. */
static void pump_old(struct serve *serve, int i)
{
    struct old *old = &serve->old[i];
    lane_pump(old->lane);
    if (!session_ready(serve->session))
        return;
    if (!lane_drained(old->lane))
        old->drained_ms = 0;
    else if (old->drained_ms == 0)
        old->drained_ms = clock_monotonic_ms();
    else if (clock_monotonic_ms() - old->drained_ms >= OLD_KEEP_MS)
        finish_old(serve, i);
}

/* Sends what can be sent. */
static void pump(struct serve *serve)
{
    if (serve->spool == NULL || serve->stopping)
        return;
    for (unsigned i = 0; i < serve->shards; i++)
        follow_ring(serve, i);
    if (serve->list_old)
        find_old(serve);
    ledger_sweep(serve->ledger, serve->shards, spool_id(serve->spool), clock_monotonic_ms());
    for (unsigned i = 0; i < serve->shards; i++)
        if (serve->lane[i] != NULL && !spool_consumer_ring_replaced(serve->spool, i))
            lane_pump(serve->lane[i]);
    for (int i = serve->olds - 1; i >= 0; i--)
        if (has_turn(serve, i))
            pump_old(serve, i);
}

static bool gathers(const struct serve *serve)
{
    for (unsigned i = 0; i < lanes(serve); i++)
        if (lane_at(serve, i) != NULL && lane_gathers(lane_at(serve, i)))
            return true;
    return false;
}

static void on_resume(evutil_socket_t fd, short what, void *user)
{
    (void)fd; /* waking the loop is enough: it pumps */
    (void)what;
    (void)user;
}

/* Wakes the loop when the first paused lane wants to continue or, if a lane is gathering, to look
 * at all of them. */
static void arm_resume(struct serve *serve, bool gathering)
{
    uint64_t first = gathering ? GATHER_LOOK_MS : UINT64_MAX;
    for (unsigned i = 0; i < lanes(serve); i++)
        if (lane_at(serve, i) != NULL && lane_paused_ms(lane_at(serve, i)) < first)
            first = lane_paused_ms(lane_at(serve, i));
    /* The end of a pause cannot be checked while Redis is away, so do not spin. */
    if (first == 0)
        first = 1;
    if (first != UINT64_MAX && session_ready(serve->session))
        events_arm(serve->resume, first);
}

static bool has_more(const struct serve *serve)
{
    for (unsigned i = 0; i < serve->shards; i++)
        if (serve->lane[i] != NULL && lane_has_more(serve->lane[i]))
            return true;
    for (int i = 0; i < serve->olds; i++)
        if (has_turn(serve, i) && lane_has_more(serve->old[i].lane))
            return true;
    return false;
}

/* Nothing is under way and nothing was found: looks again a few times, then sleeps until a wake-up,
 * an event or the tick. While nothing may be applied, reactions need not wake it. Returns whether
 * to wait. */
static bool lie_down(struct serve *serve)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    bool serving = serve->spool != NULL && !serve->stopping && session_ready(serve->session);
    for (int i = 0; serving && i < NAPS; i++) {
        nanosleep(&nap, NULL);
        if (has_more(serve))
            return false;
    }
    serve->asleep = serving;
    if (serving)
        spool_consumer_asleep(serve->spool);
    return !serving || !has_more(serve);
}

bool serve_works(struct serve *serve)
{
    pump(serve);
    /* Evaluated once: with a second call, a reaction in between would make the loop wait for a
     * timer that was not armed. */
    bool gathering = gathers(serve);
    arm_resume(serve, gathering);
    return session_awaited(serve->session) > 0 || gathering || lie_down(serve);
}

void serve_waited(struct serve *serve)
{
    if (serve->asleep)
        spool_consumer_awake(serve->spool);
    serve->asleep = false;
}

static bool idle(const struct serve *serve)
{
    for (unsigned i = 0; i < lanes(serve); i++)
        if (lane_at(serve, i) != NULL && !lane_idle(lane_at(serve, i)))
            return false;
    return true;
}

int serve_run(struct serve *serve)
{
    while (!serve->failed) {
        if (serve->stopping && (idle(serve) || clock_monotonic_ms() - serve->stop_ms >= STOP_MS))
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
}

/* --- making and ending --- */

static int open_links(struct serve *serve, const char *mqtt_secret, const char *redis_password)
{
    const struct settings *settings = serve->settings;
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
    const struct session_config session = {
        .link = {.host = settings->links.redis_host,
                 .port = (int)settings->links.redis_port,
                 .password = redis_password},
        .adopt = settings->adopt,
        .volatile_redis = settings->volatile_redis,
        .rings = on_judge,
        .on_ready = on_ready,
        .on_clock = on_clock,
        .user = serve,
    };
    serve->mqtt = mqtt_link_new(serve->base, &mqtt);
    serve->session = session_new(serve->base, &session);
    return serve->mqtt == NULL || serve->session == NULL ? -1 : 0;
}

struct serve *serve_new(struct event_base *base, const struct settings *settings,
                        const char *mqtt_secret, const char *redis_password)
{
    struct serve *serve = calloc(1, sizeof *serve);
    if (serve == NULL)
        return NULL;
    serve->base = base;
    serve->settings = settings;
    serve->receipts = receipt_new(settings->links.topic_prefix);
    serve->tick = event_new(base, -1, EV_PERSIST, on_tick, serve);
    serve->resume = event_new(base, -1, 0, on_resume, serve);
    serve->shared = (struct lane_shared){
        .receipts = serve->receipts,
        .counts = &serve->counts,
        .batch_records = (size_t)settings->batch_records,
        .in_flight_max = (unsigned)settings->in_flight,
        .pool = lane_pool_new((size_t)settings->batch_records),
    };
    if (serve->receipts == NULL || serve->tick == NULL || serve->resume == NULL ||
        serve->shared.pool == NULL || open_links(serve, mqtt_secret, redis_password) != 0 ||
        events_arm(serve->tick, TICK_MS) != 0) {
        serve_free(serve);
        return NULL;
    }
    const struct self_audit_config audit = {
        .session = serve->session,
        .per_minute = (unsigned)settings->audit_per_minute,
        .say = on_audit,
        .user = serve,
    };
    const struct ledger_config ledger = {
        .session = serve->session,
        .complete = on_complete,
        .here = on_here,
        .user = serve,
    };
    serve->audit = self_audit_new(base, &audit);
    serve->ledger = ledger_new(&ledger);
    if (serve->audit == NULL || serve->ledger == NULL) {
        serve_free(serve);
        return NULL;
    }
    serve->shared.session = serve->session;
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
        publish(serve, TOPIC, STATUS_OFFLINE); /* the will is dropped with a DISCONNECT */
    }
    mqtt_link_free(serve->mqtt);
    session_free(serve->session); /* calls back what is under way */
    self_audit_free(serve->audit);
    ledger_free(serve->ledger);
    for (unsigned i = 0; i < serve->shards; i++)
        lane_free(serve->lane[i]);
    while (serve->olds > 0)
        close_old(serve, serve->olds - 1);
    lane_pool_free(serve->shared.pool);
    receipt_free(serve->receipts);
    events_free(serve->wake);
    events_free(serve->tick);
    events_free(serve->resume);
    spool_free(serve->spool);
    free(serve);
}

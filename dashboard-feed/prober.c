/* Each probe has its own connection, because readers connect, too. libmosquitto must not be
 * freed inside its callbacks, so a connection ends when the timer fires next. */
#include "prober.h"

#include "core/article.h"
#include "core/mqtt_protocol.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/mqtt_link.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_MAX_BYTES (ARTICLE_PREFIX_MAX_BYTES + 16 + ARTICLE_MAX_BYTES)
#define CLIENT_ID_MAX_BYTES 80
#define EDGE_BYTES 16
#define PAYLOAD_MAX_BYTES 4096 /* of a total or receipt */
#define NO_KIND_MS 1000        /* the store has not been read yet */

struct prober {
    struct event_base *base;
    struct store_link *store;
    struct publish *publish;
    uint64_t interval_ms;
    char *host, *user, *password;
    int port;
    char prefix[ARTICLE_PREFIX_MAX_BYTES + 1];
    char client_id[CLIENT_ID_MAX_BYTES + 1];
    char article[sizeof ARTICLE_PROBE_PREFIX + EDGE_BYTES]; /* "": the edge is not known */
    struct event *timer;
    struct mqtt_link *link; /* of the probe in flight, or of one that has just ended */
    int mid;                /* of its reaction */
    bool stopped;
    struct probe probe;
};

static uint64_t prober_now_us(void)
{
    return clock_monotonic_ns() / 1000;
}

/* ---- what is sent ---- */

static void prober_topic(const struct prober *prober, char out[TOPIC_MAX_BYTES], const char *area,
                         const char *rest)
{
    snprintf(out, TOPIC_MAX_BYTES, "%s%s%s", prober->prefix, area, rest);
}

static unsigned kinds_known(const struct prober *prober)
{
    const struct kinds *kinds = store_link_kinds(prober->store);
    unsigned n = 0;
    for (int id = 1; id <= KIND_MAX; id++)
        n += kinds->name[id][0] != '\0';
    return n;
}

/* No probe begins while no kind is known. */
static const char *kind_name(const struct prober *prober, unsigned number)
{
    const struct kinds *kinds = store_link_kinds(prober->store);
    unsigned n = kinds_known(prober), skip = n > 0 ? number % n : 0;
    for (int id = 1; id <= KIND_MAX; id++)
        if (kinds->name[id][0] != '\0' && skip-- == 0)
            return kinds->name[id];
    return "none";
}

static int send_reaction(struct prober *prober, const struct probe_reaction *reaction)
{
    char topic[TOPIC_MAX_BYTES], payload[96];
    mosquitto_property *properties = NULL;
    prober_topic(prober, topic, "receipts/", prober->client_id);
    int failed = mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC, topic);
    if (failed == 0)
        failed = mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA,
                                               reaction->correlation,
                                               (uint16_t)strlen(reaction->correlation));
    prober_topic(prober, topic, "reactions/", prober->article);
    snprintf(payload, sizeof payload, "{\"reaction\":\"%s\",\"reader\":\"probe\"}",
             reaction->withdraw ? "none" : kind_name(prober, reaction->kind));
    if (failed == 0)
        failed = mqtt_link_publish(prober->link, topic, payload, strlen(payload), 1, false,
                                   properties, &prober->mid);
    mosquitto_property_free_all(&properties);
    return failed;
}

/* ---- one probe ---- */

/* Logs the first failure in a row, and the end of the row. */
static void prober_report(struct prober *prober, bool failed_before)
{
    char json[PROBE_JSON_MAX_BYTES];
    const struct probe *probe = &prober->probe;
    if (probe->withdrew)
        return;
    if (probe->ok && failed_before)
        log_line(LOG_LEVEL_INFO, "the probe is counted and shown again", "total_ms=%.1f",
                 (double)probe->total_us / 1000);
    else if (probe->in_a_row == 1 && !failed_before)
        log_line(LOG_LEVEL_WARNING, "the probe failed: readers may see the same", "reason=%s",
                 probe->why);
    probe_json(probe, prober->article, clock_unix_ms(), json);
    publish_probe(prober->publish, json);
}

static void prober_ended(struct prober *prober, bool ended, bool failed_before)
{
    if (!ended)
        return;
    prober_report(prober, failed_before);
    event_active(prober->timer, 0, 0);
}

static void on_up(void *user)
{
    struct prober *prober = user;
    char topic[TOPIC_MAX_BYTES];
    if (prober->probe.phase != PROBE_CONNECTING)
        return; /* one that came too late, or lost its first connection */
    prober_topic(prober, topic, "totals/", prober->article);
    mqtt_link_subscribe(prober->link, topic, 0);
    prober_topic(prober, topic, "receipts/", prober->client_id);
    mqtt_link_subscribe(prober->link, topic, 0);
    const struct probe_reaction reaction = probe_connected(&prober->probe, prober_now_us());
    if (send_reaction(prober, &reaction) != 0)
        log_line(LOG_LEVEL_DEBUG, "the probe's reaction could not be sent", NULL); /* it expires */
}

static void on_down(void *user, const char *why)
{
    struct prober *prober = user;
    bool failed_before = prober->probe.in_a_row > 0;
    (void)why;
    prober_ended(prober, probe_lost(&prober->probe, prober_now_us()), failed_before);
}

static void on_published(void *user, int mid)
{
    struct prober *prober = user;
    if (mid == prober->mid)
        probe_acknowledged(&prober->probe, prober_now_us());
}

static void on_refused(void *user, int mid)
{
    struct prober *prober = user;
    if (mid == prober->mid)
        probe_refused(&prober->probe);
}

static void on_message(void *user, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct prober *prober = user;
    char topic[TOPIC_MAX_BYTES];
    void *correlation = NULL;
    uint16_t correlation_bytes = 0;
    bool failed_before = prober->probe.in_a_row > 0, ended = false;
    if (message->payloadlen <= 0 || message->payloadlen > PAYLOAD_MAX_BYTES || message->retain)
        return;
    size_t bytes = (size_t)message->payloadlen;
    prober_topic(prober, topic, "totals/", prober->article);
    if (strcmp(message->topic, topic) == 0) {
        ended = probe_hear_total(&prober->probe, message->payload, bytes, prober_now_us());
    } else {
        (void)mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &correlation,
                                             &correlation_bytes, false);
        ended = probe_hear_receipt(&prober->probe, correlation, correlation_bytes, message->payload,
                                   bytes, prober_now_us());
        free(correlation);
    }
    prober_ended(prober, ended, failed_before);
}

/* ---- one after the other ---- */

static void prober_connect(struct prober *prober)
{
    const struct mqtt_link_config link = {
        .host = prober->host,
        .port = prober->port,
        .client_id = prober->client_id,
        .username = prober->user,
        .password = prober->password,
        .on_up = on_up,
        .on_down = on_down,
        .on_message = on_message,
        .on_published = on_published,
        .on_refused = on_refused,
        .quiet = true,
        .user = prober,
    };
    prober->link = mqtt_link_new(prober->base, &link); /* NULL: it expires */
}

static void prober_hang_up(struct prober *prober)
{
    mqtt_link_free(prober->link);
    prober->link = NULL;
}

/* Why it could not connect, while it tries to. */
static const char *link_why(const struct prober *prober)
{
    return prober->link != NULL && prober->probe.phase == PROBE_CONNECTING
               ? mqtt_link_why(prober->link)
               : "";
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
    struct prober *prober = user;
    bool failed_before = prober->probe.in_a_row > 0;
    (void)fd;
    (void)what;
    if (probe_expire(&prober->probe, link_why(prober), prober_now_us()))
        prober_report(prober, failed_before);
    if (prober->probe.phase == PROBE_RESTING)
        prober_hang_up(prober);
    if (prober->stopped)
        return;
    if (kinds_known(prober) == 0) {
        events_arm(prober->timer, NO_KIND_MS);
        return;
    }
    if (probe_begin(&prober->probe, prober_now_us()))
        prober_connect(prober);
    events_arm(prober->timer, probe_rest_us(&prober->probe, prober_now_us()) / 1000 + 1);
}

void prober_edge(struct prober *prober, const char *edge)
{
    char article[sizeof prober->article];
    if (strlen(edge) != EDGE_BYTES || prober->stopped || prober->interval_ms == 0)
        return;
    snprintf(article, sizeof article, "%s%s", ARTICLE_PROBE_PREFIX, edge);
    if (strcmp(article, prober->article) == 0)
        return;
    if (prober->article[0] != '\0') /* the spool is another one */
        probe_abandon(&prober->probe, prober_now_us());
    memcpy(prober->article, article, sizeof article);
    event_active(prober->timer, 0, 0);
}

int prober_set_password(struct prober *prober, const char *password)
{
    if (prober->password != NULL && strcmp(password, prober->password) == 0)
        return 0;
    char *own = strdup(password);
    if (own == NULL)
        return -1;
    if (prober->password != NULL)
        explicit_bzero(prober->password, strlen(prober->password));
    free(prober->password);
    prober->password = own;
    if (prober->article[0] != '\0' && !prober->stopped) {
        probe_abandon(&prober->probe, prober_now_us());
        event_active(prober->timer, 0, 0);
    }
    return 0;
}

void prober_stop(struct prober *prober)
{
    prober->stopped = true;
    if (prober->article[0] != '\0')
        publish_probe(prober->publish, ""); /* what it showed last is no longer so */
    event_del(prober->timer);
    prober_hang_up(prober);
}

const char *prober_why(const struct prober *prober)
{
    return probe_why(&prober->probe);
}

const struct probe *prober_probe(const struct prober *prober)
{
    return &prober->probe;
}

struct prober *prober_new(struct event_base *base, const struct publish_config *broker,
                          uint64_t interval_ms, struct store_link *link, struct publish *publish)
{
    uint64_t number;
    struct prober *prober = calloc(1, sizeof *prober);
    if (prober == NULL)
        return NULL;
    prober->base = base;
    prober->store = link;
    prober->publish = publish;
    prober->interval_ms = interval_ms;
    randombytes_buf(&number, sizeof number);
    probe_init(&prober->probe, interval_ms, number, prober_now_us());
    prober->host = strdup(broker->host);
    prober->port = broker->port;
    prober->user = strdup(broker->user);
    prober->timer = evtimer_new(base, on_timer, prober);
    snprintf(prober->prefix, sizeof prober->prefix, "%s", broker->prefix);
    snprintf(prober->client_id, sizeof prober->client_id, "%s-probe", broker->user);
    if (prober->host == NULL || prober->user == NULL || prober->timer == NULL ||
        prober_set_password(prober, broker->password) != 0) {
        prober_free(prober);
        return NULL;
    }
    return prober;
}

void prober_free(struct prober *prober)
{
    if (prober == NULL)
        return;
    prober_hang_up(prober);
    events_free(prober->timer);
    if (prober->password != NULL)
        explicit_bzero(prober->password, strlen(prober->password));
    free(prober->password);
    free(prober->host);
    free(prober->user);
    free(prober);
}

/* How the feed reads the mark without guessing at times: it subscribes to ops/#, then publishes its
 * health, which comes back to it. A broker answers in order and delivers one client's messages in
 * order, so when the live health message comes back, every retained message has arrived. */
#include "publish.h"

#include "core/article.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/mqtt_link.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_MAX_BYTES (256 + 16 + ARTICLE_MAX_BYTES)
#define PAYLOAD_MAX_BYTES 131072 /* of what is believed under ops/ */
/* Then the mark counts as absent, which costs work and loses nothing. */
#define ECHO_MAX_MS 10000

enum phase { PHASE_DOWN, PHASE_LISTENING, PHASE_READY };

struct publish {
    struct publish_config config;
    struct mqtt_link *link;
    struct event *echo_timer;
    char *prefix;
    char *health;
    enum phase phase;
    bool has_mark;
    struct publish_mark mark; /* as retained by the broker */
    int mark_mid;             /* not acknowledged yet; 0 none */
    unsigned echoes;          /* healths sent over this connection that have not come back yet */
    unsigned list_echoes;     /* until the broker has sent everything that it retains; 0: it is not
                                 sending it */
    uint64_t told;
    struct publish_stats stats;
};

/* ---- the mark ---- */

/* Unless there is one for each shard, none is known: such a mark is from an older feed. */
static void read_runs(struct publish_mark *mark, const cJSON *runs)
{
    const cJSON *one;
    uint32_t shard = 0;
    if (!cJSON_IsArray(runs) || cJSON_GetArraySize(runs) != (int)mark->shards)
        return;
    cJSON_ArrayForEach(one, runs)
    {
        if (cJSON_IsString(one) && strlen(one->valuestring) < sizeof mark->run[0])
            memcpy(mark->run[shard], one->valuestring, strlen(one->valuestring));
        shard++;
    }
}

int publish_mark_parse(struct publish_mark *mark, const char *payload, size_t bytes)
{
    int result = -1;
    memset(mark, 0, sizeof *mark);
    if (bytes == 0 || bytes > PAYLOAD_MAX_BYTES)
        return -1;
    cJSON *object = cJSON_ParseWithLength(payload, bytes);
    const cJSON *epoch = cJSON_GetObjectItemCaseSensitive(object, "epoch");
    const cJSON *store = cJSON_GetObjectItemCaseSensitive(object, "store");
    const cJSON *covered = cJSON_GetObjectItemCaseSensitive(object, "covered");
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(object, "runs");
    if (!cJSON_IsString(epoch) || !cJSON_IsString(store) || !cJSON_IsArray(covered) ||
        strlen(epoch->valuestring) >= sizeof mark->epoch ||
        strlen(store->valuestring) >= sizeof mark->store)
        goto out;
    memcpy(mark->epoch, epoch->valuestring, strlen(epoch->valuestring));
    memcpy(mark->store, store->valuestring, strlen(store->valuestring));
    const cJSON *one;
    cJSON_ArrayForEach(one, covered)
    {
        if (mark->shards == COVER_MAX_SHARDS || !cJSON_IsNumber(one) || !(one->valuedouble >= 0) ||
            one->valuedouble > 9007199254740991.0)
            goto out;
        mark->covered[mark->shards++] = (uint64_t)one->valuedouble;
    }
    read_runs(mark, runs);
    result = mark->shards > 0 ? 0 : -1;
out:
    cJSON_Delete(object);
    return result;
}

static int add_runs(cJSON *object, const struct publish_mark *mark)
{
    cJSON *runs = cJSON_AddArrayToObject(object, "runs");
    for (uint32_t i = 0; i < mark->shards; i++) {
        cJSON *item = cJSON_CreateString(mark->run[i]);
        if (item == NULL || runs == NULL || !cJSON_AddItemToArray(runs, item)) {
            cJSON_Delete(item);
            return -1;
        }
    }
    return 0;
}

char *publish_mark_json(const struct publish_mark *mark)
{
    char *text = NULL;
    cJSON *object = cJSON_CreateObject();
    if (cJSON_AddStringToObject(object, "epoch", mark->epoch) == NULL ||
        cJSON_AddStringToObject(object, "store", mark->store) == NULL ||
        add_runs(object, mark) != 0)
        goto out;
    cJSON *covered = cJSON_AddArrayToObject(object, "covered");
    for (uint32_t i = 0; i < mark->shards; i++) {
        char number[24];
        snprintf(number, sizeof number, "%" PRIu64, mark->covered[i]);
        cJSON *item = cJSON_CreateRaw(number);
        if (item == NULL || covered == NULL || !cJSON_AddItemToArray(covered, item)) {
            cJSON_Delete(item);
            goto out;
        }
    }
    text = cJSON_PrintUnformatted(object);
out:
    cJSON_Delete(object);
    return text;
}

/* ---- the broker ---- */

static int send_retained(struct publish *publish, const char *name, const char *article,
                         size_t bytes, const char *payload, int qos, int *mid)
{
    char topic[TOPIC_MAX_BYTES];
    int length =
        snprintf(topic, sizeof topic, "%s%s%.*s", publish->prefix, name, (int)bytes, article);
    if (length < 0 || (size_t)length >= sizeof topic)
        return -1;
    return mqtt_link_publish(publish->link, topic, payload, strlen(payload), qos, true, NULL, mid);
}

/* To which the feed listens. */
static void send_health(struct publish *publish)
{
    if (send_retained(publish, "ops/health", "", 0, publish->health, 0, NULL) == 0)
        publish->echoes++;
}

static void become_ready(struct publish *publish)
{
    evtimer_del(publish->echo_timer);
    publish->phase = PHASE_READY;
    publish->config.on_ready(publish->config.user_data, publish->has_mark ? &publish->mark : NULL);
}

static void on_up(void *user)
{
    struct publish *publish = user;
    char filter[TOPIC_MAX_BYTES];
    publish->stats.connects++;
    publish->phase = PHASE_LISTENING;
    publish->has_mark = false;
    publish->mark_mid = 0;
    publish->echoes = publish->list_echoes = 0;
    for (int i = 0; publish->config.hears_broker && i < BROKER_STATS_COUNT; i++)
        mqtt_link_subscribe(publish->link, broker_stats_topic(i), 0);
    snprintf(filter, sizeof filter, "%sops/#", publish->prefix);
    mqtt_link_subscribe(publish->link, filter, 0);
    if (publish->config.on_article != NULL) {
        publish->config.on_connected(publish->config.user_data);
        snprintf(filter, sizeof filter, "%sarticles/#", publish->prefix);
        mqtt_link_subscribe_others(publish->link, filter, 1);
    }
    send_health(publish);
    events_arm(publish->echo_timer, ECHO_MAX_MS);
}

static void end_list(struct publish *publish)
{
    char filter[TOPIC_MAX_BYTES];
    evtimer_del(publish->echo_timer);
    publish->list_echoes = 0;
    snprintf(filter, sizeof filter, "%stotals/#", publish->prefix);
    mqtt_link_unsubscribe(publish->link, filter);
    publish->config.on_listed(publish->config.user_data);
}

static void on_echo_timer(evutil_socket_t fd, short what, void *user)
{
    struct publish *publish = user;
    (void)fd;
    (void)what;
    if (publish->phase == PHASE_READY && publish->list_echoes > 0) {
        log_line(LOG_LEVEL_WARNING,
                 "the broker did not send every retained total: raise max_queued_messages",
                 "told=%" PRIu64, publish->told);
        end_list(publish);
    }
    if (publish->phase != PHASE_LISTENING)
        return;
    log_line(LOG_LEVEL_WARNING, "own message did not come back: assuming there is no mark",
             "topic=%sops/health", publish->prefix);
    become_ready(publish);
}

static void on_down(void *user, const char *why)
{
    struct publish *publish = user;
    (void)why;
    bool was_ready = publish->phase == PHASE_READY;
    evtimer_del(publish->echo_timer);
    publish->phase = PHASE_DOWN;
    publish->mark_mid = 0;
    publish->list_echoes = 0;
    publish->stats.broker = (struct broker_stats){0};
    if (was_ready)
        publish->config.on_away(publish->config.user_data);
}

static void hear_total(struct publish *publish, const char *article, const char *payload,
                       size_t bytes)
{
    size_t article_bytes = strlen(article);
    uint64_t version;
    if (!article_valid(article, article_bytes) || !total_json_version(payload, bytes, &version))
        return;
    if (++publish->told % 256 == 0)
        events_arm(publish->echo_timer, ECHO_MAX_MS);
    publish->config.on_retained(publish->config.user_data, article, article_bytes, version);
}

static void hear_health(struct publish *publish)
{
    if (publish->echoes > 0)
        publish->echoes--;
    if (publish->phase == PHASE_LISTENING)
        become_ready(publish);
    else if (publish->list_echoes > 0 && --publish->list_echoes == 0)
        end_list(publish);
}

static void on_message(void *user, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct publish *publish = user;
    size_t prefix_bytes = strlen(publish->prefix);
    (void)properties;
    if (message->payloadlen < 0 || message->payloadlen > PAYLOAD_MAX_BYTES)
        return;
    size_t bytes = (size_t)message->payloadlen;
    broker_stats_hear(&publish->stats.broker, message->topic, message->payload, bytes);
    if (strncmp(message->topic, publish->prefix, prefix_bytes) != 0)
        return;
    const char *name = message->topic + prefix_bytes;
    if (strncmp(name, "articles/", 9) == 0) {
        publish->config.on_article(publish->config.user_data, name + 9, message->payload, bytes);
    } else if (strcmp(name, "ops/collector") == 0) {
        publish->config.on_collector(publish->config.user_data, message->payload, bytes);
    } else if (strcmp(name, "ops/quiet") == 0 && publish->config.on_quiet != NULL) {
        publish->config.on_quiet(publish->config.user_data, message->payload, bytes);
    } else if (strcmp(name, "ops/refusals") == 0 && publish->config.on_refusals != NULL) {
        publish->config.on_refusals(publish->config.user_data, message->payload, bytes);
    } else if (strcmp(name, "ops/feed") == 0 && message->retain &&
               publish->phase == PHASE_LISTENING) {
        publish->has_mark = publish_mark_parse(&publish->mark, message->payload, bytes) == 0;
    } else if (strncmp(name, "totals/", 7) == 0 && message->retain && publish->list_echoes > 0) {
        hear_total(publish, name + 7, message->payload, bytes);
    } else if (strcmp(name, "ops/health") == 0 && !message->retain) {
        hear_health(publish);
    }
}

static void on_published(void *user, int mid)
{
    struct publish *publish = user;
    if (mid != publish->mark_mid)
        return;
    publish->mark_mid = 0;
    publish->config.on_marked(publish->config.user_data);
}

/* ---- the contract ---- */

static struct mqtt_link *make_link(struct publish *publish, struct event_base *base)
{
    char will_topic[TOPIC_MAX_BYTES];
    snprintf(will_topic, sizeof will_topic, "%sops/health", publish->prefix);
    struct mqtt_link_config link = {
        .host = publish->config.host,
        .port = publish->config.port,
        /* One feed a broker: the name is fixed, so that a connection left by a dead feed is
           replaced at once. */
        .client_id = publish->config.user,
        .username = publish->config.user,
        .password = publish->config.password,
        .will_topic = will_topic,
        .will_payload = "{\"status\":\"unhealthy\",\"reasons\":[\"feed: offline\"]}",
        .on_up = on_up,
        .on_down = on_down,
        .on_message = on_message,
        .on_published = on_published,
        .user = publish,
    };
    return mqtt_link_new(base, &link);
}

struct publish *publish_new(struct event_base *base, const struct publish_config *config,
                            const char *health)
{
    struct publish *publish = calloc(1, sizeof *publish);
    if (publish == NULL)
        return NULL;
    publish->config = *config;
    publish->prefix = strdup(config->prefix);
    publish->health = strdup(health);
    publish->echo_timer = evtimer_new(base, on_echo_timer, publish);
    if (publish->prefix != NULL && publish->health != NULL && publish->echo_timer != NULL)
        publish->link = make_link(publish, base);
    publish->config.host = publish->config.user = publish->config.password =
        NULL; /* the link's now */
    if (publish->link == NULL) {
        publish_free(publish);
        return NULL;
    }
    return publish;
}

void publish_free(struct publish *publish)
{
    if (publish == NULL)
        return;
    mqtt_link_free(publish->link);
    events_free(publish->echo_timer);
    free(publish->health);
    free(publish->prefix);
    free(publish);
}

int publish_set_password(struct publish *publish, const char *password)
{
    return mqtt_link_set_password(publish->link, password);
}

bool publish_ready(const struct publish *publish)
{
    return publish->phase == PHASE_READY && mqtt_link_up(publish->link);
}

const char *publish_why(const struct publish *publish)
{
    return publish->phase == PHASE_READY       ? ""
           : publish->phase == PHASE_LISTENING ? "reading what it retains"
                                               : "not connected";
}

bool publish_backed_up(const struct publish *publish)
{
    return mqtt_link_backed_up(publish->link);
}

int publish_total(struct publish *publish, const char *article, size_t bytes,
                  const struct total *total, const struct kinds *kinds)
{
    cJSON *object = total_json(article, bytes, total, kinds);
    char *text = object != NULL ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (text == NULL || send_retained(publish, "totals/", article, bytes, text, 0, NULL) != 0) {
        publish->stats.failures++;
        cJSON_free(text);
        return -1;
    }
    publish->stats.totals++;
    publish->stats.bytes += strlen(text);
    cJSON_free(text);
    return 0;
}

int publish_no_total(struct publish *publish, const char *article, size_t bytes)
{
    return send_retained(publish, "totals/", article, bytes, "", 0, NULL);
}

int publish_real(struct publish *publish, const char *article, size_t bytes)
{
    char topic[TOPIC_MAX_BYTES], payload[ARTICLE_MAX_BYTES + 1];
    snprintf(topic, sizeof topic, "%sops/real", publish->prefix);
    snprintf(payload, sizeof payload, "%.*s", (int)bytes, article);
    return mqtt_link_publish(publish->link, topic, payload, strlen(payload), 0, false, NULL, NULL);
}

int publish_state(struct publish *publish, const char *article, size_t bytes, const char *json)
{
    return send_retained(publish, "articles/", article, bytes, json, 0, NULL);
}

int publish_mark(struct publish *publish, const struct publish_mark *mark)
{
    struct publish_mark own = *mark;
    if (publish->mark_mid != 0 || !publish_ready(publish))
        return -1;
    snprintf(own.epoch, sizeof own.epoch, "%s", publish->config.epoch);
    char *text = publish_mark_json(&own);
    if (text == NULL)
        return -1;
    int result = send_retained(publish, "ops/feed", "", 0, text, 1, &publish->mark_mid);
    cJSON_free(text);
    if (result == 0)
        publish->stats.marks++;
    else
        publish->mark_mid = 0;
    return result;
}

int publish_list(struct publish *publish)
{
    char filter[TOPIC_MAX_BYTES];
    unsigned before = publish->echoes;
    if (!publish_ready(publish) || publish->list_echoes > 0)
        return -1;
    snprintf(filter, sizeof filter, "%stotals/#", publish->prefix);
    if (mqtt_link_subscribe_others(publish->link, filter, 0) != 0)
        return -1;
    send_health(publish);
    if (publish->echoes == before)
        return -1;
    publish->list_echoes = publish->echoes;
    publish->told = 0;
    events_arm(publish->echo_timer, ECHO_MAX_MS);
    return 0;
}

bool publish_marking(const struct publish *publish)
{
    return publish->mark_mid != 0;
}

void publish_health(struct publish *publish, const char *json)
{
    char *copy = strdup(json);
    if (copy == NULL)
        return;
    free(publish->health);
    publish->health = copy;
    if (mqtt_link_up(publish->link))
        send_health(publish);
}

void publish_probe(struct publish *publish, const char *json)
{
    (void)send_retained(publish, "ops/probe", "", 0, json, 0, NULL);
}

struct publish_stats publish_stats(const struct publish *publish)
{
    return publish->stats;
}

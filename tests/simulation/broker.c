#include "broker.h"

#include "files.h"
#include "judge.h"
#include "reader.h"

#include "admit.h"
#include "core/mqtt_protocol.h"
#include "daemon/mqtt_link.h"
#include "status.h"
#include "total_json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS 64
#define PAUSE_US 100000u
#define BACKED_UP 12
#define OLD_MARGIN_MS 1000

struct broker broker[WORLD_EDGES];
uint32_t broker_drops_percent;

enum packet_kind { PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PUBACK };

struct packet {
    enum packet_kind kind;
    bool retain;
    int qos, mid;
    size_t bytes, correlation_bytes;
    char topic[WORLD_NAME_BYTES + 32];
    char payload[BROKER_PAYLOAD_BYTES];
    unsigned char correlation[64];
};

struct queue {
    unsigned first, n;
    struct packet packet[PACKETS];
};

struct mqtt_link {
    bool used, up, lost;
    struct event_base *process;
    struct mqtt_link_config config;
    uint64_t retry_us;
    int mids;
    bool listens; /* to ops/# */
    struct queue to_broker, to_process;
};

static struct mqtt_link links[WORLD_EDGES][PLATFORM_KINDS];

static struct packet *put(struct queue *queue, enum packet_kind kind)
{
    if (queue->n == PACKETS)
        return NULL;
    struct packet *packet = &queue->packet[(queue->first + queue->n++) % PACKETS];
    packet->kind = kind;
    packet->retain = false;
    packet->qos = packet->mid = 0;
    packet->bytes = packet->correlation_bytes = 0;
    packet->topic[0] = '\0';
    return packet;
}

static struct packet *get(struct queue *queue)
{
    if (queue->n == 0)
        return NULL;
    struct packet *packet = &queue->packet[queue->first];
    queue->first = (queue->first + 1) % PACKETS;
    queue->n--;
    return packet;
}

static void empty(struct queue *queue)
{
    queue->first = queue->n = 0;
}

void broker_begin(void)
{
    memset(broker, 0, sizeof broker);
    broker_drops_percent = 0;
    for (unsigned e = 0; e < WORLD_EDGES; e++)
        for (int k = 0; k < PLATFORM_KINDS; k++) {
            links[e][k].used = links[e][k].up = links[e][k].lost = false;
            empty(&links[e][k].to_broker);
            empty(&links[e][k].to_process);
        }
}

/* --- subscribers --- */

static void show(struct broker_subscriber *subscriber, unsigned article,
                 const struct broker_total *total)
{
    subscriber->missed[article] = false;
    if (subscriber->total[article].known && total->version < subscriber->total[article].version)
        return; /* it ignores a lower version */
    subscriber->total[article] = *total;
}

static void show_all(unsigned edge, struct broker_subscriber *subscriber)
{
    for (unsigned a = 0; a < world.articles; a++)
        if (broker[edge].retained[a].known)
            show(subscriber, a, &broker[edge].retained[a]);
}

void broker_subscribe(unsigned edge, bool online)
{
    struct broker_subscriber *subscriber = &broker[edge].subscriber[1];
    subscriber->online = online && broker[edge].up;
    if (subscriber->online)
        show_all(edge, subscriber);
}

/* A total goes out to every subscriber. A repeat of what was missed is not dropped again: that a
 * subscriber misses one and the same total for more than five seconds is not modelled. */
static void spread(unsigned edge, unsigned article, const struct broker_total *total)
{
    broker[edge].retained[article] = *total;
    for (int i = 0; i < BROKER_SUBSCRIBERS; i++) {
        struct broker_subscriber *subscriber = &broker[edge].subscriber[i];
        if (!subscriber->online)
            continue;
        bool again =
            subscriber->missed[article] && subscriber->missed_version[article] == total->version;
        if (!again && dice_percent(&world.dice, broker_drops_percent)) {
            subscriber->missed[article] = true;
            subscriber->missed_version[article] = total->version;
            subscriber->missed_us[article] = world.us + 1;
            subscriber->missed_old[article] =
                total->version / 1000 + BROKER_REPEAT_MS < world_edge_ms(edge) + OLD_MARGIN_MS;
            world_tell("edge %u: subscriber %d misses a total of article %u", edge, i, article);
        } else {
            show(subscriber, article, total);
        }
    }
}

/* --- starting and dying --- */

void broker_start(unsigned edge, int steps)
{
    struct broker *own = &broker[edge];
    if (own->up)
        return;
    memset(own->retained, 0, sizeof own->retained);
    own->mark[0] = own->collector[0] = '\0';
    if (!files_produce(edge, steps)) {
        world_tell("broker %u is killed while it opens the spool", edge);
        files_producer_dies(edge);
        return;
    }
    own->up = true;
    own->subscriber[0].online = true;
    world_tell("broker %u is up", edge);
}

void broker_kill(unsigned edge)
{
    if (!broker[edge].up)
        return;
    broker[edge].up = false;
    files_producer_dies(edge);
    for (int k = 0; k < PLATFORM_KINDS; k++)
        if (links[edge][k].used)
            broker_cut(&platform_process[edge][k]);
    for (int i = 0; i < BROKER_SUBSCRIBERS; i++) {
        /* A page that connects again takes what it is shown then. */
        memset(&broker[edge].subscriber[i], 0, sizeof broker[edge].subscriber[i]);
    }
    world_tell("broker %u is killed", edge);
}

/* --- packets of the daemons --- */

static void deliver_ops(struct mqtt_link *link, const char *topic, const void *payload,
                        size_t bytes, bool retained)
{
    struct packet *packet = link->listens && bytes > 0 ? put(&link->to_process, PUBLISH) : NULL;
    if (packet == NULL)
        return;
    packet->retain = retained;
    snprintf(packet->topic, sizeof packet->topic, "%s", topic);
    memcpy(packet->payload, payload, bytes);
    packet->bytes = bytes;
}

/* What the simulation's total_json wrote. */
static void read_total(struct broker_total *total, const char *payload)
{
    char *at;
    total->known = true;
    total->version = strtoull(payload, &at, 10);
    for (int kind = 1; kind <= WORLD_KINDS; kind++)
        total->count[kind] = strtoll(at, &at, 10);
}

static void on_publish(unsigned edge, struct packet *packet)
{
    struct broker *own = &broker[edge];
    struct mqtt_link *feed = &links[edge][PLATFORM_FEED];
    packet->payload[packet->bytes] = '\0';
    if (strncmp(packet->topic, "totals/", 7) == 0) {
        struct broker_total total = {0};
        int article = world_find_article(packet->topic + 7, strlen(packet->topic + 7));
        if (article < 0) {
            world_wrong("a total of an article that nobody reacted to");
            return;
        }
        read_total(&total, packet->payload);
        judge_shown_total(edge, (unsigned)article, &total);
        spread(edge, (unsigned)article, &total);
    } else if (strncmp(packet->topic, "receipts/", 9) == 0) {
        judge_shown_receipt(packet->topic + 9, packet->payload, packet->correlation,
                            packet->correlation_bytes);
        reader_receipt(packet->topic + 9, packet->payload, packet->correlation,
                       packet->correlation_bytes);
    } else if (strcmp(packet->topic, "ops/feed") == 0) {
        snprintf(own->mark, sizeof own->mark, "%s", packet->payload);
    } else if (strcmp(packet->topic, "ops/collector") == 0) {
        snprintf(own->collector, sizeof own->collector, "%.60s", packet->payload);
        deliver_ops(feed, "ops/collector", own->collector, strlen(own->collector), false);
    } else if (strcmp(packet->topic, "ops/health") == 0) {
        deliver_ops(feed, "ops/health", packet->payload, packet->bytes, false);
    }
}

/* As total_json would write it here. */
static void tell_totals(unsigned edge, struct mqtt_link *link)
{
    for (unsigned a = 0; a < world.articles; a++) {
        const struct broker_total *total = &broker[edge].retained[a];
        char topic[WORLD_NAME_BYTES + 16], text[128];
        if (!total->known)
            continue;
        snprintf(topic, sizeof topic, "totals/%s", world.article[a].name);
        int bytes = snprintf(text, sizeof text, "%" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64,
                             total->version, total->count[1], total->count[2], total->count[3]);
        deliver_ops(link, topic, text, (size_t)bytes, true);
    }
}

static void on_packet(unsigned edge, struct mqtt_link *link, struct packet *packet)
{
    struct broker *own = &broker[edge];
    if (packet->kind == UNSUBSCRIBE)
        return;
    if (packet->kind == SUBSCRIBE && strcmp(packet->topic, "totals/#") == 0) {
        tell_totals(edge, link);
        return;
    }
    if (packet->kind == SUBSCRIBE) {
        link->listens = true;
        deliver_ops(link, "ops/feed", own->mark, strlen(own->mark), true);
        deliver_ops(link, "ops/collector", own->collector, strlen(own->collector), true);
        return;
    }
    on_publish(edge, packet);
    struct packet *answer = packet->qos > 0 ? put(&link->to_process, PUBACK) : NULL;
    if (answer != NULL)
        answer->mid = packet->mid;
}

unsigned broker_work(unsigned edge, enum platform_kind from, unsigned n)
{
    struct mqtt_link *link = &links[edge][from];
    unsigned done = 0;
    struct packet *packet;
    while (link->up && !link->lost && done < n && (packet = get(&link->to_broker)) != NULL) {
        on_packet(edge, link, packet);
        done++;
    }
    return done;
}

bool broker_due(const struct event_base *process)
{
    const struct mqtt_link *link = &links[process->edge][process->kind];
    if (!link->used)
        return false;
    if (link->up)
        return link->lost || link->to_process.n > 0;
    return broker[process->edge].up && world.us >= link->retry_us;
}

static void to_process(struct mqtt_link *link, struct packet *packet)
{
    platform_point();
    if (packet->kind == PUBACK) {
        if (link->config.on_published != NULL)
            link->config.on_published(link->config.user, packet->mid);
        return;
    }
    struct mosquitto_message message = {.topic = packet->topic,
                                        .payload = packet->payload,
                                        .payloadlen = (int)packet->bytes,
                                        .retain = packet->retain};
    if (link->config.on_message != NULL)
        link->config.on_message(link->config.user, &message, NULL);
}

void broker_deliver(struct event_base *process, unsigned n)
{
    struct mqtt_link *link = &links[process->edge][process->kind];
    struct packet *packet;
    if (!link->used)
        return;
    if (!link->up && broker[process->edge].up && world.us >= link->retry_us) {
        link->up = true;
        link->listens = false;
        link->config.on_up(link->config.user);
        return;
    }
    for (unsigned i = 0; link->up && i < n && (packet = get(&link->to_process)) != NULL; i++)
        to_process(link, packet);
    if (!link->lost)
        return;
    link->up = link->lost = false;
    link->retry_us = world.us + PAUSE_US;
    empty(&link->to_process);
    if (link->config.on_down != NULL)
        link->config.on_down(link->config.user, "connection lost");
}

void broker_cut(const struct event_base *process)
{
    struct mqtt_link *link = &links[process->edge][process->kind];
    if (!link->up)
        return;
    link->lost = true;
    empty(&link->to_broker);
}

void broker_killed(const struct event_base *process)
{
    struct mqtt_link *link = &links[process->edge][process->kind];
    /* What it had written is read by the broker before the end of the connection is. */
    if (link->used && link->up && !link->lost && dice_percent(&world.dice, 50))
        broker_work(process->edge, process->kind, 1 + dice_below(&world.dice, PACKETS));
    link->used = link->up = link->lost = false;
    empty(&link->to_broker);
    empty(&link->to_process);
}

/* --- admission --- */

static struct ring_producer *ring_of(void *user, uint32_t shard)
{
    return files_producer((unsigned)(uintptr_t)user, shard);
}

static void fill_admit(struct admit *admit, unsigned edge)
{
    memset(admit, 0, sizeof *admit);
    admit->kinds = world.edge[edge].kinds;
    admit->key = world.key;
    admit->shards = world.shards;
    admit->last_stamp = spool_edge_last_stamp(&files_edge[edge].edge);
    admit->late_counter = spool_edge_late_counter(&files_edge[edge].edge);
    admit->ring = ring_of;
    admit->ring_user = (void *)(uintptr_t)edge;
    admit_set_prefix(admit, "");
}

/* What a kill in the middle of an append leaves: the write position unmoved, and any of the bytes.
 */
static void tear(struct files_ring *file, const unsigned char *before)
{
    unsigned char *now = file->memory;
    memcpy(now, before, RING_HEADER_BYTES);
    for (uint64_t at = RING_HEADER_BYTES; at < file->bytes; at += 8)
        if (memcmp(now + at, before + at, 8) != 0 && dice_percent(&world.dice, 50))
            memcpy(now + at, before + at, 8);
}

static void count_refused(unsigned edge, const struct broker_message *message, enum reason reason)
{
    world_tell("edge %u: reader %u's message %u is refused: %s", edge, message->reader,
               message->send, reason_name((int)reason));
    spool_edge_count(spool_edge_refused(&files_edge[edge].edge, reason));
}

bool broker_admit(const struct broker_message *message, bool torn)
{
    static unsigned char before[FILES_RING_MAX_BYTES];
    unsigned edge = message->edge;
    struct files_edge *own = &files_edge[edge];
    struct admit admit;
    struct admit_verdict verdict;
    char topic[WORLD_NAME_BYTES + 16], payload[64], name[32], client[16], response[32];
    unsigned char correlation[4];
    int file = own->file[world.article[message->article].shard];
    fill_admit(&admit, edge);
    if (message->age_ms > 0)
        snprintf(payload, sizeof payload, "{\"reaction\":\"%s\",\"age_ms\":%" PRIu32 "}",
                 world.kinds.name[message->kind], message->age_ms);
    else
        snprintf(payload, sizeof payload, "%s", world.kinds.name[message->kind]);
    snprintf(topic, sizeof topic, "reactions/%s", world.article[message->article].name);
    snprintf(name, sizeof name, "reader-number-%04u", message->reader);
    snprintf(client, sizeof client, "web-%u", message->reader);
    snprintf(response, sizeof response, "receipts/web-%u", message->reader);
    memcpy(correlation, &message->send, sizeof correlation);
    struct admit_request request = {
        .topic = topic,
        .payload = payload,
        .payload_bytes = strlen(payload),
        .may_react = true,
        .source = 'u',
        .reader = name,
        .reader_bytes = strlen(name),
        .client_id = client,
        .response_topic = response,
        .response_topic_bytes = strlen(response),
        .correlation = correlation,
        .correlation_bytes = sizeof correlation,
        .clock_bad = spool_edge_clock_bad(&own->edge),
        .unix_ms = world_edge_ms(edge),
    };
    if (torn && file >= 0)
        memcpy(before, files[file].memory, files[file].bytes);
    uint64_t last = *admit.last_stamp;
    admit_reaction(&admit, &request, &verdict);
    if (verdict.reason != REASON_NONE) {
        count_refused(edge, message, verdict.reason);
        return false;
    }
    judge_request_admitted(message, &verdict.record, &files[file], last);
    if (torn) {
        judge_request_torn();
        tear(&files[file], before);
        broker_kill(edge);
        return false;
    }
    spool_edge_count(spool_edge_admitted(&own->edge));
    files_wake(edge);
    return admit_answer(verdict.reason, 5, 1) == ADMIT_ACKNOWLEDGE;
}

/* --- mqtt_link.h and libmosquitto --- */

struct mqtt_link *mqtt_link_new(struct event_base *base, const struct mqtt_link_config *config)
{
    struct mqtt_link *link = &links[base->edge][base->kind];
    link->used = true;
    link->up = link->lost = false;
    link->process = base;
    link->config = *config;
    link->retry_us = world.us;
    link->mids = 0;
    return link;
}

/* Secrets do not change here. */
int mqtt_link_set_password(struct mqtt_link *link, const char *password)
{
    (void)link;
    (void)password;
    return 0;
}

void mqtt_link_free(struct mqtt_link *link)
{
    (void)link; /* processes end by being killed only */
}

bool mqtt_link_up(const struct mqtt_link *link)
{
    return link->up;
}

bool mqtt_link_backed_up(const struct mqtt_link *link)
{
    return link->to_broker.n >= BACKED_UP;
}

bool mqtt_link_written(const struct mqtt_link *link)
{
    return !link->up || link->to_broker.n == 0;
}

struct mqtt5__property {
    size_t bytes;
    unsigned char data[64];
};

static struct mqtt5__property property;

int mosquitto_property_add_binary(mosquitto_property **properties, int identifier,
                                  const void *value, uint16_t bytes)
{
    if (identifier != MQTT_PROP_CORRELATION_DATA || bytes > sizeof property.data)
        return MOSQ_ERR_INVAL;
    property.bytes = bytes;
    memcpy(property.data, value, bytes);
    *properties = &property;
    return MOSQ_ERR_SUCCESS;
}

void mosquitto_property_free_all(mosquitto_property **properties)
{
    *properties = NULL;
}

int mqtt_link_publish(struct mqtt_link *link, const char *topic, const void *payload, size_t bytes,
                      int qos, bool retain, const mosquitto_property *properties, int *mid)
{
    platform_point();
    if (!link->up || bytes >= BROKER_PAYLOAD_BYTES)
        return -1;
    if (link->lost) { /* into a connection that is gone */
        if (mid != NULL)
            *mid = ++link->mids;
        return 0;
    }
    struct packet *packet = put(&link->to_broker, PUBLISH);
    if (packet == NULL)
        return -1;
    snprintf(packet->topic, sizeof packet->topic, "%s", topic);
    memcpy(packet->payload, payload, bytes);
    packet->bytes = bytes;
    packet->qos = qos;
    packet->retain = retain;
    packet->mid = ++link->mids;
    if (mid != NULL)
        *mid = packet->mid;
    if (properties != NULL) {
        packet->correlation_bytes = properties->bytes;
        memcpy(packet->correlation, properties->data, properties->bytes);
    }
    return 0;
}

int mqtt_link_subscribe(struct mqtt_link *link, const char *filter, int qos)
{
    (void)qos;
    platform_point();
    struct packet *packet = link->up && !link->lost ? put(&link->to_broker, SUBSCRIBE) : NULL;
    if (packet != NULL)
        snprintf(packet->topic, sizeof packet->topic, "%s", filter);
    return link->up ? 0 : -1;
}

int mqtt_link_unsubscribe(struct mqtt_link *link, const char *filter)
{
    (void)filter;
    platform_point();
    if (link->up && !link->lost)
        (void)put(&link->to_broker, UNSUBSCRIBE);
    return 0;
}

int mqtt_link_subscribe_others(struct mqtt_link *link, const char *filter, int qos)
{
    return mqtt_link_subscribe(link, filter, qos);
}

/* --- in place of status.c and total_json.c: what the broker and the judge read is enough --- */

char *status_write(const struct status *status)
{
    struct broker *own = &broker[platform_now->edge];
    char *text = malloc(24);
    snprintf(own->collector_reason, sizeof own->collector_reason, "%s", status->reason);
    own->collector_ready = status->ready;
    judge_audit(status->audit_differing);
    if (text != NULL && status->ready)
        snprintf(text, 24, "%016" PRIx64, status->store);
    else if (text != NULL)
        snprintf(text, 24, "not ready");
    return text;
}

bool total_json_kinds_known(const struct total *total, const struct kinds *kinds)
{
    for (int id = 1; id <= KIND_MAX; id++)
        if (total->count[id] != 0 && kinds->name[id][0] == '\0')
            return false;
    return true;
}

cJSON *total_json(const char *article, size_t bytes, const struct total *total,
                  const struct kinds *kinds)
{
    char text[128];
    (void)article;
    (void)bytes;
    (void)kinds;
    snprintf(text, sizeof text, "%" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64, total->version,
             total->count[1], total->count[2], total->count[3]);
    return cJSON_CreateRaw(text);
}

bool total_json_version(const char *payload, size_t bytes, uint64_t *version)
{
    *version = bytes > 0 ? strtoull(payload, NULL, 10) : 0;
    return *version > 0;
}

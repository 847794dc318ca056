/* Receipts to the broker: publishes what the link takes now, and keeps the rest in a ring. */
#include "receipt.h"

#include "core/mqtt_protocol.h"
#include "core/option.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_MAX_BYTES (OPTION_TEXT_MAX_BYTES + sizeof "receipts/" + RECORD_CLIENT_ID_MAX_BYTES)

struct waiting {
    uint64_t number; /* among all receipts given, from 1 */
    size_t payload_bytes, correlation_bytes;
    char *topic; /* one allocation: topic, NUL, payload, correlation data */
};

struct receipt_box {
    struct mqtt_link *link;
    char prefix[OPTION_TEXT_MAX_BYTES + 1];
    struct waiting *waiting; /* a ring */
    size_t first, n;
    uint64_t sent, dropped, given, gone;
};

struct receipt_box *receipt_new(const char *prefix)
{
    struct receipt_box *box = calloc(1, sizeof *box);
    if (box == NULL)
        return NULL;
    box->waiting = calloc(RECEIPT_WAITING_MAX, sizeof *box->waiting);
    if (box->waiting == NULL) {
        free(box);
        return NULL;
    }
    snprintf(box->prefix, sizeof box->prefix, "%s", prefix);
    return box;
}

static void drop_first(struct receipt_box *box)
{
    free(box->waiting[box->first].topic);
    box->first = (box->first + 1) % RECEIPT_WAITING_MAX;
    box->n--;
}

void receipt_free(struct receipt_box *box)
{
    if (box == NULL)
        return;
    while (box->n > 0)
        drop_first(box);
    free(box->waiting);
    free(box);
}

void receipt_connect(struct receipt_box *box, struct mqtt_link *link)
{
    box->link = link;
}

size_t receipt_write(char out[RECEIPT_PAYLOAD_MAX_BYTES], const struct record *record,
                     const char *request, const char *current)
{
    const char *outcome = current != NULL     ? "superseded"
                          : record->kind == 0 ? "retracted"
                                              : "counted";
    /* No character of an article or a kind needs an escape. */
    int n = snprintf(out, RECEIPT_PAYLOAD_MAX_BYTES,
                     "{\"article\":\"%.*s\",\"reaction\":\"%s\",\"outcome\":\"%s\"%s%s%s}",
                     (int)record->article_bytes, record->article, request, outcome,
                     current != NULL ? ",\"current\":\"" : "", current != NULL ? current : "",
                     current != NULL ? "\"" : "");
    return (size_t)n;
}

static bool can_send(const struct receipt_box *box)
{
    return box->link != NULL && mqtt_link_up(box->link) && !mqtt_link_backed_up(box->link);
}

static void receipt_publish(struct receipt_box *box, const char *topic, const void *payload,
                            size_t bytes, const void *correlation, size_t correlation_bytes)
{
    mosquitto_property *properties = NULL;
    int failed = 0;
    if (correlation_bytes > 0)
        failed = mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, correlation,
                                               (uint16_t)correlation_bytes);
    if (failed == 0)
        failed = mqtt_link_publish(box->link, topic, payload, bytes, 0, false, properties, NULL);
    if (failed == 0)
        box->sent++;
    else
        box->dropped++;
    mosquitto_property_free_all(&properties);
}

static void receipt_wait(struct receipt_box *box, const char *topic, const char *payload,
                         size_t bytes, const struct record *record)
{
    size_t topic_bytes = strlen(topic) + 1;
    struct waiting waiting = {.number = box->given,
                              .payload_bytes = bytes,
                              .correlation_bytes = record->correlation_bytes};
    if (box->n < RECEIPT_WAITING_MAX)
        waiting.topic = malloc(topic_bytes + bytes + record->correlation_bytes);
    if (waiting.topic == NULL) {
        box->dropped++;
        return;
    }
    memcpy(waiting.topic, topic, topic_bytes);
    memcpy(waiting.topic + topic_bytes, payload, bytes);
    if (record->correlation_bytes > 0)
        memcpy(waiting.topic + topic_bytes + bytes, record->correlation, record->correlation_bytes);
    box->waiting[(box->first + box->n++) % RECEIPT_WAITING_MAX] = waiting;
}

void receipt_add(struct receipt_box *box, const struct record *record, const char *request,
                 const char *current)
{
    char topic[TOPIC_MAX_BYTES], payload[RECEIPT_PAYLOAD_MAX_BYTES];
    box->given++;
    snprintf(topic, sizeof topic, "%sreceipts/%.*s", box->prefix, (int)record->client_id_bytes,
             record->client_id);
    size_t bytes = receipt_write(payload, record, request, current);
    if (box->n == 0 && can_send(box))
        receipt_publish(box, topic, payload, bytes, record->correlation, record->correlation_bytes);
    else
        receipt_wait(box, topic, payload, bytes, record);
}

void receipt_flush(struct receipt_box *box)
{
    while (box->n > 0 && can_send(box)) {
        const struct waiting *first = &box->waiting[box->first];
        const char *payload = first->topic + strlen(first->topic) + 1;
        receipt_publish(box, first->topic, payload, first->payload_bytes,
                        payload + first->payload_bytes, first->correlation_bytes);
        drop_first(box);
    }
}

uint64_t receipt_given(const struct receipt_box *box)
{
    return box->given;
}

uint64_t receipt_gone(struct receipt_box *box)
{
    if (box->link == NULL || mqtt_link_written(box->link))
        box->gone = box->n > 0 ? box->waiting[box->first].number - 1 : box->given;
    return box->gone;
}

uint64_t receipt_sent(const struct receipt_box *box)
{
    return box->sent;
}

uint64_t receipt_dropped(const struct receipt_box *box)
{
    return box->dropped;
}

/* Makes all topics once, and each payload when it is sent, so that the generator stays cheaper than
 * the broker. */
#include "load_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct topic {
    uint8_t bytes;
    char text[LOAD_MESSAGE_TOPIC_MAX_BYTES];
};

struct load_messages {
    const struct load_settings *settings;
    struct topic topic[];
};

struct load_messages *load_message_new(const struct load_settings *settings)
{
    struct load_messages *messages =
        calloc(1, sizeof *messages + settings->articles * sizeof messages->topic[0]);
    if (messages == NULL)
        return NULL;
    messages->settings = settings;
    for (uint64_t i = 0; i < settings->articles; i++) {
        struct topic *topic = &messages->topic[i];
        topic->bytes =
            (uint8_t)snprintf(topic->text, sizeof topic->text, "%.64sreactions/bench/post-%" PRIu64,
                              settings->topic_prefix, 1000 + i);
    }
    return messages;
}

void load_message_free(struct load_messages *messages)
{
    free(messages);
}

void load_message_reader(char out[LOAD_MESSAGE_READER_BYTES], uint64_t seed, uint64_t number)
{
    snprintf(out, LOAD_MESSAGE_READER_BYTES, "reader-%012" PRIx64 "-%012" PRIx64, seed, number);
}

const char *load_message_topic(const struct load_messages *messages, uint32_t article,
                               size_t *bytes)
{
    const struct topic *topic = &messages->topic[article];
    *bytes = topic->bytes;
    return topic->text;
}

size_t load_message_payload(const struct load_messages *messages,
                            const struct choice_reaction *reaction,
                            char out[LOAD_MESSAGE_PAYLOAD_MAX_BYTES])
{
    char reader[LOAD_MESSAGE_READER_BYTES];
    const char *kind = choice_kind(reaction->kind);

    if (!messages->settings->reader_in_payload) {
        size_t bytes = strlen(kind);
        memcpy(out, kind, bytes);
        return bytes;
    }
    load_message_reader(reader, messages->settings->seed, reaction->reader);
    return (size_t)snprintf(out, LOAD_MESSAGE_PAYLOAD_MAX_BYTES,
                            "{\"reaction\":\"%s\",\"reader\":\"%s\"}", kind, reader);
}

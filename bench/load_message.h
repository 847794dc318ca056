/* The topics and payloads of the reactions that tally-load sends. One thread. */
#ifndef TALLY_BENCH_LOAD_MESSAGE_H
#define TALLY_BENCH_LOAD_MESSAGE_H

#include "choice.h"
#include "load_settings.h"

#include <stddef.h>
#include <stdint.h>

#define LOAD_MESSAGE_TOPIC_MAX_BYTES 96
#define LOAD_MESSAGE_PAYLOAD_MAX_BYTES 128
#define LOAD_MESSAGE_READER_BYTES 40 /* of a reader's name with its NUL */

struct load_messages;

/* Makes the topics of all articles. The settings must outlive it. NULL if memory is short. */
struct load_messages *load_message_new(const struct load_settings *settings);
void load_message_free(struct load_messages *messages); /* NULL is fine */

/* The name of a reader, 32 bytes long. Another seed gives another reader. */
void load_message_reader(char out[LOAD_MESSAGE_READER_BYTES], uint64_t seed, uint64_t number);

/* The topic of an article; it belongs to `messages`. */
const char *load_message_topic(const struct load_messages *messages, uint32_t article,
                               size_t *bytes);

/* Writes the payload of a reaction, without a NUL. Returns its bytes. */
size_t load_message_payload(const struct load_messages *messages,
                            const struct choice_reaction *reaction,
                            char out[LOAD_MESSAGE_PAYLOAD_MAX_BYTES]);

#endif

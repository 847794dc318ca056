#include "unit.h"

#include "load_message.h"

static struct load_settings settings;
static struct load_messages *messages;

static void make(const char *prefix, bool reader_in_payload)
{
    settings = (struct load_settings){
        .articles = 1000000, .seed = 0xabc, .reader_in_payload = reader_in_payload};
    snprintf(settings.topic_prefix, sizeof settings.topic_prefix, "%s", prefix);
    messages = load_message_new(&settings);
    assert_non_null(messages);
}

static void check_topic(uint32_t article, const char *expected)
{
    size_t bytes;
    const char *topic = load_message_topic(messages, article, &bytes);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(topic, expected, bytes);
}

static void topics_follow_the_prefix(void **state)
{
    char prefix[65], expected[LOAD_MESSAGE_TOPIC_MAX_BYTES];
    (void)state;
    make("", false);
    check_topic(0, "reactions/bench/post-1000");
    check_topic(999999, "reactions/bench/post-1000999");
    load_message_free(messages);
    memset(prefix, 'p', 63);
    memcpy(prefix + 63, "/", 2);
    make(prefix, false);
    snprintf(expected, sizeof expected, "%sreactions/bench/post-1000999", prefix);
    check_topic(999999, expected); /* the longest is whole */
    load_message_free(messages);
}

static void a_payload_names_its_reader_where_asked(void **state)
{
    const struct choice_reaction reaction = {.kind = 1, .reader = 0xffffffffffff};
    char payload[LOAD_MESSAGE_PAYLOAD_MAX_BYTES], reader[LOAD_MESSAGE_READER_BYTES];
    char expected[LOAD_MESSAGE_PAYLOAD_MAX_BYTES];
    (void)state;
    make("", false);
    size_t bytes = load_message_payload(messages, &reaction, payload);
    assert_int_equal(bytes, strlen(choice_kind(1)));
    assert_memory_equal(payload, choice_kind(1), bytes);
    load_message_free(messages);
    make("", true);
    bytes = load_message_payload(messages, &reaction, payload);
    load_message_reader(reader, settings.seed, reaction.reader);
    assert_string_equal(reader, "reader-000000000abc-ffffffffffff");
    snprintf(expected, sizeof expected, "{\"reaction\":\"%s\",\"reader\":\"%s\"}", choice_kind(1),
             reader);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(payload, expected, bytes);
    load_message_free(messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_follow_the_prefix),
        cmocka_unit_test(a_payload_names_its_reader_where_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

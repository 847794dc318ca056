#include "unit.h"

#include "admit.h"
#include "registry_layout.h"

#include "core/article.h"
#include "core/stamp.h"
#include "spool/ring.h"
#include "spool/ring_consumer.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARDS 4
#define CAPACITY 4096u
#define NOW_MS (STAMP_EPOCH_UNIX_MS + 1000000u)

/* --- what is allocated, by this program's own objects (--wrap) --- */

/* The compiler knows malloc, and that it changes no variable: hence volatile. */
static volatile unsigned long allocations;
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    allocations++;
    return __real_calloc(n, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    allocations++;
    return __real_realloc(memory, bytes);
}

/* --- an edge in memory --- */

static unsigned char memory[SHARDS][RING_HEADER_BYTES + CAPACITY] __attribute__((aligned(4096)));
static struct ring_producer rings[SHARDS];
static bool ring_missing;
static uint64_t last_stamp, late_counter;
static struct admit admit;
static struct admit_request request;
static struct admit_verdict verdict;
static unsigned char *known_memory;

static struct ring_producer *ring_of(void *user, uint32_t shard)
{
    assert_ptr_equal(user, rings);
    assert_true(shard < SHARDS);
    return ring_missing ? NULL : &rings[shard];
}

static int begin(void **state)
{
    struct error error;
    (void)state;
    memset(&admit, 0, sizeof admit);
    memset(&request, 0, sizeof request);
    memset(&verdict, 0x55, sizeof verdict);
    memset(memory, 0, sizeof memory);
    ring_missing = false;
    last_stamp = late_counter = 0;
    if (kind_table_parse(&admit.kinds, "like,angry,sad", &error) != 0)
        return -1;
    memcpy(admit.key.bytes, "0123456789abcdef", READER_KEY_BYTES);
    admit.shards = SHARDS;
    admit.last_stamp = &last_stamp;
    admit.late_counter = &late_counter;
    admit.ring = ring_of;
    admit.ring_user = rings;
    admit_set_prefix(&admit, "");
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct ring_identity identity = {.capacity_bytes = CAPACITY,
                                         .shard = i,
                                         .shards = SHARDS,
                                         .ring_id = 100 + i,
                                         .edge_id = 7,
                                         .kinds = admit.kinds};
        ring_format(memory[i], &identity);
        if (ring_producer_open(&rings[i], memory[i], sizeof memory[i], &error) != 0)
            return -1;
    }
    request.topic = "reactions/world/x";
    request.payload = "angry";
    request.payload_bytes = 5;
    request.may_react = true;
    request.source = 'c';
    request.reader = "reader-1";
    request.reader_bytes = 8;
    request.client_id = "reader-1";
    request.unix_ms = NOW_MS;
    return 0;
}

#define READER_BURST 20
#define ADDRESS_BURST 30
#define KNOWN_ROOM 8
#define NEW_AT_ONCE 4

/* An edge with limits. */
static int begin_limited(void **state)
{
    struct limit_rate reader = limit_rate_of(5, LIMIT_SECOND_NS, READER_BURST);
    struct limit_rate address = limit_rate_of(10, LIMIT_SECOND_NS, ADDRESS_BURST);
    struct registry_rules rules = {
        .max = KNOWN_ROOM,
        .auto_create = true,
        .auto_create_rate = limit_rate_of(60, 60 * LIMIT_SECOND_NS, NEW_AT_ONCE),
        .seed = 1,
    };
    if (begin(state) != 0)
        return -1;
    rules.kinds = admit.kinds;
    known_memory = calloc(1, registry_layout_bytes(KNOWN_ROOM));
    registry_layout_format(known_memory, KNOWN_ROOM, &admit.kinds);
    admit.registry = registry_new(known_memory, &rules);
    admit.readers = limit_table_new(16, &reader, 2);
    admit.addresses = limit_table_new(16, &address, 3);
    request.now_ns = 1000 * LIMIT_SECOND_NS;
    request.reader_key = 1;
    request.address_key = 1;
    request.address_limited = true;
    return admit.registry != NULL && admit.readers != NULL && admit.addresses != NULL ? 0 : -1;
}

static int end_limited(void **state)
{
    (void)state;
    registry_free(admit.registry);
    limit_table_free(admit.readers);
    limit_table_free(admit.addresses);
    limit_table_free(admit.reader_creates);
    limit_table_free(admit.address_creates);
    free(known_memory);
    return 0;
}

static void set_payload(const char *text)
{
    request.payload = text;
    request.payload_bytes = strlen(text);
}

static void set_response(const char *topic, const char *correlation)
{
    request.response_topic = topic;
    request.response_topic_bytes = strlen(topic);
    request.correlation = (const unsigned char *)correlation;
    request.correlation_bytes = strlen(correlation);
}

static enum reason judge(void)
{
    admit_reaction(&admit, &request, &verdict);
    return verdict.reason;
}

/* The only record in the spool, which must be in its article's ring. */
static struct record only_record(void)
{
    struct record record, second;
    struct ring_consumer consumer;
    struct error error;
    uint32_t shard = article_shard(verdict.article, verdict.article_bytes, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++)
        assert_int_equal(ring_write_position(memory[i]) > 0, i == shard);
    assert_int_equal(verdict.shard, shard);
    assert_int_equal(ring_consumer_open(&consumer, memory[shard], sizeof memory[shard], &error), 0);
    assert_int_equal(ring_consumer_next(&consumer, &record), 1);
    assert_int_equal(ring_consumer_next(&consumer, &second), 0);
    return record;
}

static void assert_nothing_appended(void)
{
    for (uint32_t i = 0; i < SHARDS; i++)
        assert_int_equal(ring_write_position(memory[i]), 0);
}

/* --- tests --- */

static void appends_what_it_admits(void **state)
{
    (void)state;
    set_response("receipts/reader-1", "abc");
    assert_int_equal(judge(), REASON_NONE);
    struct record record = only_record();
    assert_int_equal(record.kind, 2);
    assert_int_equal(record.article_bytes, 7);
    assert_memory_equal(record.article, "world/x", 7);
    assert_int_equal(record.client_id_bytes, 8);
    assert_memory_equal(record.client_id, "reader-1", 8);
    assert_int_equal(record.correlation_bytes, 3);
    assert_memory_equal(record.correlation, "abc", 3);
    assert_int_equal(record.reader, reader_hash(&admit.key, "world/x", 7, 'c', "reader-1", 8));
    assert_int_equal(record.stamp, 1000000u * STAMP_COUNTS);
    assert_int_equal(last_stamp, record.stamp);
}

static void tells_sources_apart(void **state)
{
    (void)state;
    request.source = 'u';
    assert_int_equal(judge(), REASON_NONE);
    struct record record = only_record();
    assert_int_equal(record.reader, reader_hash(&admit.key, "world/x", 7, 'u', "reader-1", 8));
    assert_int_not_equal(record.reader, reader_hash(&admit.key, "world/x", 7, 'c', "reader-1", 8));
}

static void keeps_no_client_id_without_response_topic(void **state)
{
    (void)state;
    request.correlation = (const unsigned char *)"ignored, however long it may be";
    request.correlation_bytes = 1000;
    assert_int_equal(judge(), REASON_NONE);
    assert_false(verdict.wants_receipt);
    struct record record = only_record();
    assert_int_equal(record.client_id_bytes, 0);
    assert_int_equal(record.correlation_bytes, 0);
}

static void stamps_late_reactions_by_their_age(void **state)
{
    (void)state;
    set_payload("{\"reaction\":\"none\",\"age_ms\":5000}");
    assert_int_equal(judge(), REASON_NONE);
    struct record record = only_record();
    assert_int_equal(record.kind, KIND_NONE);
    assert_int_equal(stamp_unix_ms(record.stamp), NOW_MS - 5000);
    assert_int_equal(last_stamp, 0); /* the admission clock is left alone */
    assert_int_equal(late_counter, 1);
}

static void stamps_never_repeat(void **state)
{
    (void)state;
    assert_int_equal(judge(), REASON_NONE);
    uint64_t first = verdict.record.stamp;
    request.unix_ms -= 100; /* the clock was set back a little */
    assert_int_equal(judge(), REASON_NONE);
    assert_int_equal(verdict.record.stamp, first + 1);
}

static void heeds_the_prefix(void **state)
{
    (void)state;
    admit_set_prefix(&admit, "news/");
    assert_int_equal(judge(), REASON_BAD_TOPIC);
    request.topic = "news/reactions/world/x";
    set_response("receipts/reader-1", "");
    assert_int_equal(judge(), REASON_FORBIDDEN);
    set_response("news/receipts/reader-1", "");
    assert_int_equal(judge(), REASON_NONE);
    only_record();
}

static void lets_a_gateway_name_the_reader(void **state)
{
    (void)state;
    request.gateway = true;
    request.source = 't';
    request.reader = NULL;
    request.reader_bytes = 0;
    set_payload("{\"reaction\":\"sad\",\"reader\":\"jos\\u00e9\"}");
    assert_int_equal(judge(), REASON_NONE);
    struct record record = only_record();
    assert_int_equal(record.kind, 3);
    assert_int_equal(record.reader, reader_hash(&admit.key, "world/x", 7, 't', "jos\xc3\xa9", 5));
}

static void wants_a_gateway_to_name_the_reader(void **state)
{
    (void)state;
    request.gateway = true;
    request.source = 't';
    assert_int_equal(judge(), REASON_FORBIDDEN); /* its own name is not a reader's */
    set_payload("{\"reaction\":\"sad\"}");
    assert_int_equal(judge(), REASON_FORBIDDEN);
    set_payload("{\"reaction\":\"sad\",\"reader\":\"\"}");
    assert_int_equal(judge(), REASON_BAD_PAYLOAD);
    assert_nothing_appended();
}

#define TEN "aaaaaaaaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* Every reason that a message alone can provoke. `response`: "" none. */
static const struct {
    const char *topic, *payload, *response, *correlation;
    enum reason reason;
    const char *article; /* in the receipt; "" none */
    int kind;
} refused[] = {
    {"reactions", "angry", "", "", REASON_BAD_TOPIC, "", 2},
    {"reactions/", "angry", "", "", REASON_BAD_TOPIC, "", 2},
    {"reactions", "rubbish!", "", "", REASON_BAD_TOPIC, "", KIND_UNKNOWN},
    {"reactions//a", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/a/", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/a//b", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/-a", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/a b", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/\xc3\xa4", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/1/2/3/4/5/6/7/8/9", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/" HUNDRED HUNDRED "a", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/$SYS", "angry", "", "", REASON_BAD_ARTICLE, "", 2},
    {"reactions/a", "{", "", "", REASON_BAD_PAYLOAD, "a", KIND_UNKNOWN},
    {"reactions/a", "Angry", "", "", REASON_BAD_PAYLOAD, "a", KIND_UNKNOWN},
    {"reactions/a", " angry", "", "", REASON_BAD_PAYLOAD, "a", KIND_UNKNOWN},
    {"reactions/a", "{\"reaction\":\"angry\",\"more\":1}", "", "", REASON_BAD_PAYLOAD, "a",
     KIND_UNKNOWN},
    {"reactions/a", "{\"reaction\":\"angry\",\"age_ms\":604800001}", "", "", REASON_BAD_PAYLOAD,
     "a", KIND_UNKNOWN},
    {"reactions/a", "{\"reaction\":\"angry\",\"age_ms\":-1}", "", "", REASON_BAD_PAYLOAD, "a",
     KIND_UNKNOWN},
    {"reactions/a", HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED TEN "aaa", "", "", REASON_BAD_PAYLOAD,
     "a", KIND_UNKNOWN},
    {"reactions/a", "angry", "receipts/reader-1", HUNDRED, REASON_BAD_PAYLOAD, "a", 2},
    {"reactions/a", "furious", "", "", REASON_UNKNOWN_KIND, "a", KIND_UNKNOWN},
    {"reactions/a", "{\"reaction\":\"furious\"}", "", "", REASON_UNKNOWN_KIND, "a", KIND_UNKNOWN},
    {"reactions/a", "{\"reaction\":\"angry\",\"reader\":\"someone\"}", "", "", REASON_FORBIDDEN,
     "a", 2},
    {"reactions/a", "angry", "receipts/", "", REASON_FORBIDDEN, "a", 2},
    {"reactions/a", "angry", "receipts/reader-2", "", REASON_FORBIDDEN, "a", 2},
    {"reactions/a", "angry", "receipts/reader-11", "", REASON_FORBIDDEN, "a", 2},
    {"reactions/a", "angry", "receipts/reader-", "", REASON_FORBIDDEN, "a", 2},
    {"reactions/a", "angry", "receipts/reader-1/x", "", REASON_FORBIDDEN, "a", 2},
    {"reactions/a", "angry", "totals/a", "", REASON_FORBIDDEN, "a", 2},
    {"reactions/a", "angry", "x", "", REASON_FORBIDDEN, "a", 2},
};

static void refuses_each_wrong_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        request.topic = refused[i].topic;
        set_payload(refused[i].payload);
        request.response_topic = NULL;
        if (refused[i].response[0] != '\0')
            set_response(refused[i].response, refused[i].correlation);
        enum reason got = judge();
        require(got == refused[i].reason, "row %zu is %d", i, got);
        require(verdict.article_bytes == strlen(refused[i].article), "row %zu", i);
        require(memcmp(verdict.article_bytes > 0 ? verdict.article : "", refused[i].article,
                       verdict.article_bytes) == 0,
                "row %zu", i);
        require(verdict.kind == refused[i].kind, "row %zu is kind %d", i, verdict.kind);
        require(verdict.wants_receipt == (strcmp(refused[i].response, "receipts/reader-1") == 0),
                "row %zu", i);
    }
    assert_nothing_appended();
    assert_int_equal(last_stamp, 0);
}

static void refuses_an_empty_response_topic(void **state)
{
    (void)state;
    set_response("", "");
    assert_int_equal(judge(), REASON_FORBIDDEN);
    assert_false(verdict.wants_receipt);
}

static void forbids_by_what_is_known_of_the_client(void **state)
{
    char long_name[READER_NAME_MAX_BYTES + 1];
    memset(long_name, 'a', sizeof long_name);

    request.retain = true;
    assert_int_equal(judge(), REASON_FORBIDDEN);
    begin(state);
    request.may_react = false;
    assert_int_equal(judge(), REASON_FORBIDDEN);
    begin(state);
    request.source = 0;
    assert_int_equal(judge(), REASON_FORBIDDEN);
    begin(state);
    request.reader = NULL;
    request.reader_bytes = 0;
    assert_int_equal(judge(), REASON_FORBIDDEN);
    begin(state);
    request.reader = long_name;
    request.reader_bytes = sizeof long_name;
    assert_int_equal(judge(), REASON_FORBIDDEN);
    assert_nothing_appended();
    request.reader_bytes--;
    assert_int_equal(judge(), REASON_NONE);
}

static void refuses_by_the_clock_before_it_stamps(void **state)
{
    (void)state;
    request.clock_bad = true;
    assert_int_equal(judge(), REASON_CLOCK);
    assert_int_equal(last_stamp, 0);
    assert_nothing_appended();
    set_payload("rubbish!");
    assert_int_equal(judge(), REASON_BAD_PAYLOAD); /* it would be refused with a good clock, too */
}

static void limits_each_reader_of_a_gateway(void **state)
{
    (void)state;
    request.gateway = true;
    request.source = 't';
    request.address_limited = false;
    for (int i = 0; i < READER_BURST; i++) {
        set_payload("{\"reaction\":\"sad\",\"reader\":\"one\"}");
        assert_int_equal(judge(), REASON_NONE);
    }
    assert_int_equal(judge(), REASON_RATE_READER);
    set_payload("{\"reaction\":\"sad\",\"reader\":\"two\"}");
    assert_int_equal(judge(), REASON_NONE);
}

static void is_busy_when_the_ring_is_full_or_missing(void **state)
{
    (void)state;
    unsigned admitted = 0;
    while (judge() == REASON_NONE)
        admitted++;
    assert_int_equal(verdict.reason, REASON_BUSY);
    assert_int_equal(admitted, CAPACITY / 48); /* 40 + "world/x", to a multiple of 16 */
    uint32_t full = article_shard("world/x", 7, SHARDS);
    uint64_t position = ring_write_position(memory[full]);
    assert_int_equal(judge(), REASON_BUSY);
    assert_int_equal(ring_write_position(memory[full]), position);
    /* The others' articles are not concerned. */
    char topic[32];
    for (unsigned i = 0;; i++) {
        snprintf(topic, sizeof topic, "reactions/a%u", i);
        if (article_shard(topic + 10, strlen(topic + 10), SHARDS) != full)
            break;
    }
    request.topic = topic;
    assert_int_equal(judge(), REASON_NONE);
    ring_missing = true;
    assert_int_equal(judge(), REASON_BUSY);
}

static void returns_correlation_data_only_where_it_may(void **state)
{
    (void)state;
    set_payload("rubbish!");
    set_response("receipts/reader-1", "abc");
    assert_int_equal(judge(), REASON_BAD_PAYLOAD);
    assert_int_equal(verdict.correlation_bytes, 3);
    set_response("receipts/reader-1", HUNDRED);
    judge();
    assert_int_equal(verdict.correlation_bytes, 0);
    set_response("receipts/reader-2", "abc");
    judge();
    assert_int_equal(verdict.correlation_bytes, 0);
}

/* What fits and what is a byte too long, of a reaction that is good otherwise, and of one that is
 * not. */
static void takes_correlation_data_of_64_bytes_at_most(void **state)
{
    char correlation[RECORD_CORRELATION_MAX_BYTES + 2];

    (void)state;
    memset(correlation, 'c', sizeof correlation);
    correlation[RECORD_CORRELATION_MAX_BYTES + 1] = '\0';
    set_response("receipts/reader-1", correlation);
    assert_int_equal(request.correlation_bytes, 65);
    assert_int_equal(judge(), REASON_BAD_PAYLOAD);
    assert_true(verdict.wants_receipt);
    assert_int_equal(verdict.correlation_bytes, 0);
    correlation[RECORD_CORRELATION_MAX_BYTES] = '\0';
    set_response("receipts/reader-1", correlation);
    assert_int_equal(judge(), REASON_NONE);
    assert_int_equal(only_record().correlation_bytes, 64);
    set_payload("rubbish!");
    assert_int_equal(judge(), REASON_BAD_PAYLOAD);
    assert_int_equal(verdict.correlation_bytes, 64);
}

static void answers_by_protocol_version(void **state)
{
    (void)state;
    for (int reason = 0; reason < REASON_COUNT; reason++)
        for (int version = 3; version <= 5; version++)
            for (int qos = 0; qos <= 2; qos++) {
                bool later = reason == REASON_BUSY || reason == REASON_CLOCK;
                assert_int_equal(admit_answer((enum reason)reason, version, qos),
                                 later && version < 5 && qos > 0 ? ADMIT_DISCONNECT : ADMIT_REFUSE);
            }
    assert_int_equal(admit_answer(REASON_NONE, 4, 1), ADMIT_ACKNOWLEDGE);
    assert_int_equal(admit_answer(REASON_NONE, 5, 2), ADMIT_ACKNOWLEDGE);
}

static void limits_a_reader(void **state)
{
    (void)state;
    for (int i = 0; i < READER_BURST; i++)
        assert_int_equal(judge(), REASON_NONE);
    assert_int_equal(judge(), REASON_RATE_READER);
    request.topic = "reactions/another"; /* on whatever article */
    assert_int_equal(judge(), REASON_RATE_READER);
    request.reader_key = 2; /* from another address or not */
    assert_int_equal(judge(), REASON_NONE);
    request.reader_key = 1;
    request.now_ns += LIMIT_SECOND_NS / 5;
    assert_int_equal(judge(), REASON_NONE);
    assert_int_equal(judge(), REASON_RATE_READER);
}

static void limits_an_address(void **state)
{
    (void)state;
    for (int i = 0; i < ADDRESS_BURST; i++) {
        request.reader_key = (uint64_t)i;
        assert_int_equal(judge(), REASON_NONE);
    }
    assert_int_equal(judge(), REASON_RATE_ADDRESS);
    request.address_limited = false;
    assert_int_equal(judge(), REASON_NONE);
    request.address_limited = true;
    request.address_key = 2;
    assert_int_equal(judge(), REASON_NONE);
}

static void limits_new_articles(void **state)
{
    static const char *const topics[] = {"reactions/a", "reactions/b", "reactions/c", "reactions/d",
                                         "reactions/e"};
    (void)state;
    for (int i = 0; i < NEW_AT_ONCE; i++) {
        request.topic = topics[i];
        assert_int_equal(judge(), REASON_NONE);
        assert_false(verdict.known); /* it was not, before */
    }
    request.topic = topics[NEW_AT_ONCE];
    assert_int_equal(judge(), REASON_UNKNOWN_ARTICLE);
    assert_false(verdict.known);
    request.topic = topics[0];
    assert_int_equal(judge(), REASON_NONE);
    assert_true(verdict.known);
}

static void tell(const char *article, const char *payload)
{
    struct article_state said;
    assert_int_equal(article_state_parse(&said, article, strlen(article), payload, strlen(payload)),
                     0);
    assert_int_equal(
        registry_set_state(admit.registry, article, strlen(article), &said, request.unix_ms),
        REGISTRY_APPLIED);
}

static void an_articles_state_is_judged(void **state)
{
    (void)state;
    request.topic = "reactions/shut";
    tell("shut", "closed");
    assert_int_equal(judge(), REASON_CLOSED);
    assert_true(verdict.known);
    set_payload("none"); /* nothing is taken back, either */
    assert_int_equal(judge(), REASON_CLOSED);
    tell("shut", "{\"kinds\":[\"sad\"]}");
    assert_nothing_appended();
    set_payload("angry");
    assert_int_equal(judge(), REASON_UNKNOWN_KIND);
    assert_int_equal(verdict.kind, 2);
    request.may_react = false; /* what will never be admitted is said first */
    assert_int_equal(judge(), REASON_UNKNOWN_KIND);
    request.may_react = true;
    set_payload("sad");
    assert_int_equal(judge(), REASON_NONE);
    set_payload("none");
    assert_int_equal(judge(), REASON_NONE);
    request.topic = "reactions/other";
    set_payload("angry");
    assert_int_equal(judge(), REASON_NONE);
    /* by the time of arrival, not of the click */
    request.topic = "reactions/shut";
    tell("shut", "{\"closes_at\":\"2024-01-01T00:16:40Z\"}"); /* NOW_MS */
    set_payload("{\"reaction\":\"sad\",\"age_ms\":5000}");
    assert_int_equal(judge(), REASON_CLOSED);
    request.unix_ms--;
    assert_int_equal(judge(), REASON_NONE);
}

/* Each reason before the next, of a request that all of them would refuse. */
static void judges_in_this_order(void **state)
{
    (void)state;
    for (int i = 0; i < READER_BURST; i++)
        assert_int_equal(judge(), REASON_NONE);
    request.reader_key = 2;
    for (int i = READER_BURST; i < ADDRESS_BURST; i++)
        assert_int_equal(judge(), REASON_NONE);
    request.reader_key = 1;
    registry_free(admit.registry);
    struct registry_rules none = {
        .max = KNOWN_ROOM, .auto_create = false, .seed = 1, .kinds = admit.kinds};
    admit.registry = registry_new(known_memory, &none);
    request.clock_bad = true;
    request.may_react = false;
    ring_missing = true;

    set_payload("meh");
    request.topic = "reactions/";
    assert_int_equal(judge(), REASON_BAD_TOPIC);
    request.topic = "reactions//x";
    assert_int_equal(judge(), REASON_BAD_ARTICLE);
    request.topic = "reactions/new";
    set_payload("no kind");
    assert_int_equal(judge(), REASON_BAD_PAYLOAD);
    set_payload("meh");
    assert_int_equal(judge(), REASON_UNKNOWN_KIND);
    set_payload("sad");
    assert_int_equal(judge(), REASON_FORBIDDEN);
    request.may_react = true;
    assert_int_equal(judge(), REASON_UNKNOWN_ARTICLE);
    tell("new", "closed");
    assert_int_equal(judge(), REASON_CLOSED);
    tell("new", "open");
    assert_int_equal(judge(), REASON_RATE_READER);
    request.reader_key = 3;
    assert_int_equal(judge(), REASON_RATE_ADDRESS);
    request.address_key = 3;
    assert_int_equal(judge(), REASON_CLOCK);
    request.clock_bad = false;
    assert_int_equal(judge(), REASON_BUSY);
    ring_missing = false;
    assert_int_equal(judge(), REASON_NONE);
}

static void what_is_refused_changes_nothing(void **state)
{
    (void)state;
    request.topic = "reactions/new";
    for (int i = 0; i < 100; i++) {
        request.clock_bad = i % 2 == 0;
        ring_missing = !request.clock_bad;
        assert_int_equal(judge(), i % 2 == 0 ? REASON_CLOCK : REASON_BUSY);
        assert_false(verdict.known);
    }
    assert_int_equal(registry_count(admit.registry), 0);
    request.clock_bad = ring_missing = false;
    for (int i = 0; i < READER_BURST; i++) /* no token was taken */
        assert_int_equal(judge(), REASON_NONE);
    assert_int_equal(registry_count(admit.registry), 1);
}

static void a_reader_is_one_on_all_articles(void **state)
{
    uint64_t key = admit_reader_key(&admit, 'u', "reader", 6);
    (void)state;
    assert_true(key == admit_reader_key(&admit, 'u', "reader", 6));
    assert_true(key != admit_reader_key(&admit, 'c', "reader", 6));
    assert_true(key != admit_reader_key(&admit, 'u', "reader", 5));
}

/* Every kind of request, admitted and refused. */
static void judge_all_kinds(void)
{
    if (admit.registry != NULL) {
        tell("y", "closed");
        tell("z", "{\"kinds\":[\"like\",\"angry\"],\"closes_at\":\"2026-12-01T08:00:00Z\"}");
    }
    set_response("receipts/reader-1", "abc");
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        request.topic = "reactions/world/x";
        set_payload(i % 2 == 0 ? "{\"reaction\":\"sad\",\"age_ms\":77}" : "angry");
        judge();
        request.topic = refused[i].topic;
        set_payload(refused[i].payload);
        judge();
    }
    for (unsigned i = 0; i < 100; i++) { /* more readers and addresses than the tables hold */
        request.topic = i % 3 == 0   ? "reactions/y"
                        : i % 3 == 1 ? "reactions/z"
                                     : "reactions/world/x";
        request.reader_key = request.address_key = i / 3;
        judge();
        judge();
    }
    for (unsigned i = 0; i < 2 * CAPACITY / 48; i++) { /* up to full, and further */
        request.topic = "reactions/world/x";
        request.now_ns += LIMIT_SECOND_NS;
        judge();
    }
}

static void allocates_nothing(void **state)
{
    (void)state;
    allocations = 0;
    void *volatile counted = malloc(1);
    free(counted);
    assert_int_equal(allocations, 1);
    allocations = 0;
    judge_all_kinds();
    assert_int_equal(allocations, 0);
}

/* In strict mode the kernel kills a process that makes a system call other than read, write and
 * exit. */
static void makes_no_system_call(void **state)
{
    int status;
    (void)state;
    judge(); /* resolves what is resolved at the first call */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(2);
        judge_all_kinds();
        syscall(SYS_exit, verdict.reason == REASON_BUSY ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- who pays for new articles --- */

static enum reason invent(int i)
{
    static char topic[64];
    snprintf(topic, sizeof topic, "reactions/new-%d", i);
    request.topic = topic;
    return judge();
}

static void new_articles_are_charged_to_address_and_reader_first(void **state)
{
    struct limit_rate one = limit_rate_of(1, 60 * LIMIT_SECOND_NS, 1);
    struct limit_rate two = limit_rate_of(2, 60 * LIMIT_SECOND_NS, 2);
    (void)state;
    admit.reader_creates = limit_table_new(16, &one, 4);
    admit.address_creates = limit_table_new(16, &two, 5);
    assert_int_equal(invent(0), REASON_NONE);
    assert_int_equal(invent(1), REASON_RATE_READER);
    assert_int_equal(invent(0), REASON_NONE); /* what is known costs nothing */
    request.reader_key = 2;
    assert_int_equal(invent(2), REASON_NONE);
    request.reader_key = 3;
    for (int i = 0; i < 3 * NEW_AT_ONCE; i++)
        assert_int_equal(invent(10 + i), REASON_RATE_ADDRESS);
    assert_false(verdict.known);
    /* What was refused took nothing of what others share. */
    request.address_key = 2;
    request.reader_key = 4;
    assert_int_equal(invent(3), REASON_NONE);
    request.reader_key = 5;
    assert_int_equal(invent(4), REASON_NONE);
    request.address_key = 3;
    request.reader_key = 6;
    assert_int_equal(invent(5), REASON_UNKNOWN_ARTICLE);
    assert_int_equal(admit.creations.made, NEW_AT_ONCE);
    assert_int_equal(admit.creations.reader, 1);
    assert_int_equal(admit.creations.address, 3 * NEW_AT_ONCE);
    assert_int_equal(admit.creations.rate, 1);
    assert_int_equal(admit.creations.full, 0);
}

static void where_there_is_no_address_a_reader_pays(void **state)
{
    struct limit_rate one = limit_rate_of(1, 60 * LIMIT_SECOND_NS, 1);
    (void)state;
    admit.reader_creates = limit_table_new(16, &one, 4);
    admit.address_creates = limit_table_new(16, &one, 5);
    request.address_limited = false;
    for (uint64_t reader = 1; reader <= 2; reader++) {
        request.reader_key = reader;
        assert_int_equal(invent((int)reader), REASON_NONE);
        assert_int_equal(invent(10 + (int)reader), REASON_RATE_READER);
    }
}

static void a_full_table_is_counted(void **state)
{
    (void)state;
    request.address_limited = false;
    for (int i = 0; i < KNOWN_ROOM; i++) {
        assert_int_equal(invent(i), REASON_NONE);
        request.now_ns += 60 * LIMIT_SECOND_NS;
    }
    assert_int_equal(invent(KNOWN_ROOM), REASON_UNKNOWN_ARTICLE);
    assert_int_equal(admit.creations.full, 1);
    assert_int_equal(admit.creations.rate, 0);
}

/* It is known, and takes neither an entry nor what an address or the edge may create. */
static void a_probe_takes_no_entry(void **state)
{
    (void)state;
    request.gateway = true;
    request.address_limited = false;
    set_payload("{\"reaction\":\"angry\",\"reader\":\"probe\"}");
    request.topic = "reactions/%probe/0123456789abcdef";
    for (int i = 0; i < KNOWN_ROOM; i++) {
        assert_int_equal(judge(), REASON_NONE);
        assert_true(verdict.known);
    }
    assert_int_equal(registry_count(admit.registry), 0);
    assert_int_equal(admit.creations.made, 0);
    request.topic = "reactions/world/x";
    assert_int_equal(judge(), REASON_NONE);
    assert_int_equal(registry_count(admit.registry), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(new_articles_are_charged_to_address_and_reader_first,
                                        begin_limited, end_limited),
        cmocka_unit_test_setup_teardown(where_there_is_no_address_a_reader_pays, begin_limited,
                                        end_limited),
        cmocka_unit_test_setup_teardown(a_full_table_is_counted, begin_limited, end_limited),
        cmocka_unit_test_setup(appends_what_it_admits, begin),
        cmocka_unit_test_setup(tells_sources_apart, begin),
        cmocka_unit_test_setup(lets_a_gateway_name_the_reader, begin),
        cmocka_unit_test_setup(wants_a_gateway_to_name_the_reader, begin),
        cmocka_unit_test_setup_teardown(limits_each_reader_of_a_gateway, begin_limited,
                                        end_limited),
        cmocka_unit_test_setup(keeps_no_client_id_without_response_topic, begin),
        cmocka_unit_test_setup(stamps_late_reactions_by_their_age, begin),
        cmocka_unit_test_setup(stamps_never_repeat, begin),
        cmocka_unit_test_setup(heeds_the_prefix, begin),
        cmocka_unit_test_setup(refuses_each_wrong_form, begin),
        cmocka_unit_test_setup(refuses_an_empty_response_topic, begin),
        cmocka_unit_test_setup(forbids_by_what_is_known_of_the_client, begin),
        cmocka_unit_test_setup(refuses_by_the_clock_before_it_stamps, begin),
        cmocka_unit_test_setup(is_busy_when_the_ring_is_full_or_missing, begin),
        cmocka_unit_test_setup(returns_correlation_data_only_where_it_may, begin),
        cmocka_unit_test_setup(takes_correlation_data_of_64_bytes_at_most, begin),
        cmocka_unit_test_setup(answers_by_protocol_version, begin),
        cmocka_unit_test_setup_teardown(a_probe_takes_no_entry, begin_limited, end_limited),
        cmocka_unit_test_setup_teardown(limits_a_reader, begin_limited, end_limited),
        cmocka_unit_test_setup_teardown(limits_an_address, begin_limited, end_limited),
        cmocka_unit_test_setup_teardown(limits_new_articles, begin_limited, end_limited),
        cmocka_unit_test_setup_teardown(an_articles_state_is_judged, begin_limited, end_limited),
        cmocka_unit_test_setup_teardown(judges_in_this_order, begin_limited, end_limited),
        cmocka_unit_test_setup_teardown(what_is_refused_changes_nothing, begin_limited,
                                        end_limited),
        cmocka_unit_test_setup(a_reader_is_one_on_all_articles, begin),
        cmocka_unit_test_setup(allocates_nothing, begin),
        cmocka_unit_test_setup(makes_no_system_call, begin),
        cmocka_unit_test_setup_teardown(allocates_nothing, begin_limited, end_limited),
        cmocka_unit_test_setup_teardown(makes_no_system_call, begin_limited, end_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

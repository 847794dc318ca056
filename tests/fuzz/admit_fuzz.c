/* A whole message judged: what is admitted lies in the ring as it was meant, nothing else does. */
#include "admit.h"
#include "core/article.h"
#include "core/reaction.h"
#include "core/stamp.h"
#include "fuzz.h"
#include "spool/ring.h"
#include "spool/ring_consumer.h"

#define CAPACITY 4096u
#define NOW_MS 1795510800123ull

static unsigned char memory[RING_HEADER_BYTES + CAPACITY] __attribute__((aligned(4096)));
static struct ring_producer producer;

static struct ring_producer *ring_of(void *user, uint32_t shard)
{
    (void)shard;
    return user;
}

static void begin(struct admit *admit, uint64_t *stamp, uint64_t *late)
{
    struct ring_identity identity = {.capacity_bytes = CAPACITY, .shards = 1, .ring_id = 1};
    memset(memory, 0, sizeof memory);
    memset(admit, 0, sizeof *admit);
    if (kind_table_parse(&admit->kinds, "like,angry", NULL) != 0)
        abort();
    identity.kinds = admit->kinds;
    ring_format(memory, &identity);
    if (ring_producer_open(&producer, memory, sizeof memory, NULL) != 0)
        abort();
    admit->shards = 3;
    admit->last_stamp = stamp;
    admit->late_counter = late;
    admit->ring = ring_of;
    admit->ring_user = &producer;
    admit_set_prefix(admit, "news/");
}

/* A gateway's reader is the one that the payload names, with a separate source. */
static void check_named(const struct admit *admit, const struct admit_request *request,
                        const struct record *record)
{
    struct reaction reaction;
    FUZZ_CHECK(reaction_parse(request->payload, request->payload_bytes, &admit->kinds, &reaction) ==
               REASON_NONE);
    FUZZ_CHECK(reaction.reader_bytes > 0 &&
               record->reader == reader_hash(&admit->key, record->article, record->article_bytes,
                                             't', reaction.reader, reaction.reader_bytes));
}

static void check_admitted(const struct admit *admit, const struct admit_request *request,
                           const struct admit_verdict *verdict)
{
    struct ring_consumer consumer;
    struct record record;
    FUZZ_CHECK(ring_consumer_open(&consumer, memory, sizeof memory, NULL) == 0);
    FUZZ_CHECK(ring_consumer_next(&consumer, &record) == 1);
    FUZZ_CHECK(request->may_react && !request->retain && !request->clock_bad);
    FUZZ_CHECK(request->gateway || request->source != 0);
    FUZZ_CHECK(article_valid(record.article, record.article_bytes) &&
               strlen(request->topic) == 15u + record.article_bytes &&
               strncmp(request->topic, "news/reactions/", 15) == 0 &&
               memcmp(request->topic + 15, record.article, record.article_bytes) == 0);
    FUZZ_CHECK(record.kind == verdict->kind && record.kind <= admit->kinds.n);
    FUZZ_CHECK(stamp_unix_ms(record.stamp) <= NOW_MS + STAMP_AHEAD_MAX_MS + 1);
    FUZZ_CHECK(request->gateway ||
               record.reader == reader_hash(&admit->key, record.article, record.article_bytes,
                                            request->source, request->reader,
                                            request->reader_bytes));
    if (request->gateway)
        check_named(admit, request, &record);
    FUZZ_CHECK((record.client_id_bytes > 0) == (request->response_topic != NULL));
    if (record.client_id_bytes > 0)
        FUZZ_CHECK(record.client_id_bytes == strlen(request->client_id) &&
                   record.correlation_bytes == request->correlation_bytes);
    FUZZ_CHECK(ring_consumer_next(&consumer, &record) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    struct admit admit;
    struct admit_verdict verdict;
    uint64_t stamp = 0, late = 0;
    unsigned how = (unsigned)fuzz_number(&in, 1);
    char *topic = fuzz_line(&in), *client_id = fuzz_line(&in), *response = fuzz_line(&in),
         *correlation = fuzz_line(&in);
    begin(&admit, &stamp, &late);
    struct admit_request request = {
        .topic = topic == NULL ? "" : topic,
        .payload = in.at,
        .payload_bytes = in.left,
        .retain = (how & 1) != 0,
        .may_react = (how & 2) == 0,
        .gateway = (how & 32) != 0,
        .source = (how & 4) != 0 ? 0 : 'c',
        .clock_bad = (how & 8) != 0,
        .client_id = client_id == NULL ? "" : client_id,
        .response_topic = (how & 16) != 0 ? response : NULL,
        .correlation = (const unsigned char *)correlation,
        .correlation_bytes = correlation == NULL ? 0 : strlen(correlation),
        .unix_ms = NOW_MS,
    };
    request.reader = request.client_id;
    request.reader_bytes = strlen(request.reader);
    request.response_topic_bytes =
        request.response_topic == NULL ? 0 : strlen(request.response_topic);
    admit_reaction(&admit, &request, &verdict);
    if (verdict.reason == REASON_NONE)
        check_admitted(&admit, &request, &verdict);
    else
        FUZZ_CHECK(ring_write_position(memory) == 0 && reason_name(verdict.reason) != NULL);
    FUZZ_CHECK(verdict.correlation_bytes <= RECORD_CORRELATION_MAX_BYTES);
    free(topic);
    free(client_id);
    free(response);
    free(correlation);
    return 0;
}

/* Judges a request step by step, cheapest first, and appends what it admits. Tokens are taken only
 * at the end. */
#include "admit.h"

#include "registry_state.h"

#include "core/article.h"
#include "core/reaction.h"
#include "core/stamp.h"

#include <stdio.h>
#include <string.h>

void admit_set_prefix(struct admit *admit, const char *prefix)
{
    snprintf(admit->reactions, sizeof admit->reactions, "%sreactions", prefix);
    admit->reactions_bytes = strlen(admit->reactions);
    snprintf(admit->receipts, sizeof admit->receipts, "%sreceipts/", prefix);
    admit->receipts_bytes = strlen(admit->receipts);
}

static enum reason find_article(const struct admit *admit, const struct admit_request *request,
                                struct admit_verdict *verdict)
{
    if (strncmp(request->topic, admit->reactions, admit->reactions_bytes) != 0)
        return REASON_BAD_TOPIC;
    const char *slash = request->topic + admit->reactions_bytes;
    if (slash[0] != '/' || slash[1] == '\0')
        return REASON_BAD_TOPIC;
    size_t bytes = strlen(slash + 1);
    if (!article_valid(slash + 1, bytes))
        return REASON_BAD_ARTICLE;
    verdict->article = slash + 1;
    verdict->article_bytes = bytes;
    return REASON_NONE;
}

/* Whether the response topic is the client's own receipt topic. */
static bool is_own_receipts(const struct admit *admit, const struct admit_request *request)
{
    size_t client_id_bytes = strlen(request->client_id);
    return client_id_bytes > 0 && client_id_bytes <= RECORD_CLIENT_ID_MAX_BYTES &&
           request->response_topic_bytes == admit->receipts_bytes + client_id_bytes &&
           memcmp(request->response_topic, admit->receipts, admit->receipts_bytes) == 0 &&
           memcmp(request->response_topic + admit->receipts_bytes, request->client_id,
                  client_id_bytes) == 0;
}

static enum reason read_payload(const struct admit *admit, const struct admit_request *request,
                                struct admit_verdict *verdict, struct reaction *reaction)
{
    if (request->payload_bytes > REACTION_PAYLOAD_MAX_BYTES)
        return REASON_BAD_PAYLOAD;
    enum reason reason =
        reaction_parse(request->payload, request->payload_bytes, &admit->kinds, reaction);
    if (reason != REASON_NONE)
        return reason;
    verdict->kind = reaction->kind;
    /* Correlation data without a response topic is ignored. */
    if (request->response_topic != NULL &&
        request->correlation_bytes > RECORD_CORRELATION_MAX_BYTES)
        return REASON_BAD_PAYLOAD;
    return REASON_NONE;
}

/* The owner of the reaction. A name that a gateway gives has source 't', like a token's subject: no
 * client id or username can collide with it. */
struct reader {
    char source;
    const char *name;
    size_t bytes;
};

static struct reader reader_of(const struct admit_request *request, const struct reaction *reaction)
{
    if (request->gateway)
        return (struct reader){'t', reaction->reader, reaction->reader_bytes};
    return (struct reader){request->source, request->reader, request->reader_bytes};
}

static bool is_forbidden(const struct admit_request *request, const struct admit_verdict *verdict,
                         const struct reaction *reaction)
{
    struct reader reader = reader_of(request, reaction);
    return request->retain || !request->may_react || reader.source == 0 || reader.bytes == 0 ||
           reader.bytes > READER_NAME_MAX_BYTES ||
           (reaction->reader_bytes > 0 && !request->gateway) ||
           (request->response_topic != NULL && !verdict->wants_receipt);
}

uint64_t admit_reader_key(const struct admit *admit, char source, const char *reader,
                          size_t reader_bytes)
{
    return reader_hash(&admit->key, "", 0, source, reader, reader_bytes);
}

/* The tokens that an admitted reaction takes. */
struct allowance {
    struct registry *registry; /* NULL: the article needs no entry */
    struct registry_answer article;
    uint64_t *reader, *address; /* buckets; NULL: no limit */
    uint64_t *reader_create, *address_create;
    uint64_t reader_key;
};

static enum reason no_article(struct admit *admit, enum registry_why why)
{
    uint64_t *counts[] = {[REGISTRY_OFF] = &admit->creations.off,
                          [REGISTRY_RATE] = &admit->creations.rate,
                          [REGISTRY_FULL] = &admit->creations.full};
    ++*counts[why];
    return REASON_UNKNOWN_ARTICLE;
}

/* Whether this reader and this address may register an article. The address is checked first, so
 * that one address does not fill the readers' table. */
static enum reason judge_creation(struct admit *admit, const struct admit_request *request,
                                  struct allowance *allowance)
{
    if (admit->address_creates != NULL && request->address_limited) {
        allowance->address_create =
            limit_table_bucket(admit->address_creates, request->address_key);
        if (!limit_table_left(admit->address_creates, allowance->address_create, request->now_ns)) {
            admit->creations.address++;
            return REASON_RATE_ADDRESS;
        }
    }
    if (admit->reader_creates != NULL) {
        allowance->reader_create = limit_table_bucket(admit->reader_creates, allowance->reader_key);
        if (!limit_table_left(admit->reader_creates, allowance->reader_create, request->now_ns)) {
            admit->creations.reader++;
            return REASON_RATE_READER;
        }
    }
    return REASON_NONE;
}

/* The key of a reader whom a gateway names costs a hash a reaction, and is of no use without
 * limits. */
static bool wants_reader_key(const struct admit *admit, const struct allowance *allowance)
{
    return admit->readers != NULL || admit->reader_creates != NULL || allowance->article.asks_who;
}

static enum reason judge_limits(struct admit *admit, const struct admit_request *request,
                                const struct reaction *reaction, struct allowance *allowance)
{
    if (allowance->registry != NULL && allowance->article.verdict == REGISTRY_UNKNOWN)
        return no_article(admit, allowance->article.why);
    if (allowance->article.state != NULL &&
        !registry_state_accepts(allowance->article.state, request->unix_ms))
        return REASON_CLOSED;
    allowance->reader_key = request->reader_key;
    if (request->gateway && wants_reader_key(admit, allowance))
        allowance->reader_key =
            admit_reader_key(admit, 't', reaction->reader, reaction->reader_bytes);
    if (admit->readers != NULL) {
        allowance->reader = limit_table_bucket(admit->readers, allowance->reader_key);
        if (!limit_table_left(admit->readers, allowance->reader, request->now_ns))
            return REASON_RATE_READER;
    }
    if (admit->addresses != NULL && request->address_limited) {
        allowance->address = limit_table_bucket(admit->addresses, request->address_key);
        if (!limit_table_left(admit->addresses, allowance->address, request->now_ns))
            return REASON_RATE_ADDRESS;
    }
    if (allowance->registry != NULL && allowance->article.verdict == REGISTRY_MAY_REGISTER)
        return judge_creation(admit, request, allowance);
    return REASON_NONE;
}

struct registry_actor admit_actor(bool address_limited, uint64_t address_key, uint64_t reader_key)
{
    return (struct registry_actor){.key = address_limited ? address_key : reader_key,
                                   .address = address_limited};
}

static void admit_take(struct admit *admit, const struct admit_request *request,
                       const struct admit_verdict *verdict, const struct allowance *allowance)
{
    struct registry_actor actor =
        admit_actor(request->address_limited, request->address_key, allowance->reader_key);
    actor.reader = verdict->record.reader;
    if (allowance->registry != NULL)
        registry_use(allowance->registry, &allowance->article, verdict->article,
                     verdict->article_bytes, &actor, request->now_ns, request->unix_ms);
    if (allowance->article.verdict == REGISTRY_MAY_REGISTER)
        admit->creations.made++;
    if (allowance->address_create != NULL)
        limit_table_take(admit->address_creates, allowance->address_create, request->now_ns);
    if (allowance->reader_create != NULL)
        limit_table_take(admit->reader_creates, allowance->reader_create, request->now_ns);
    if (allowance->reader != NULL)
        limit_table_take(admit->readers, allowance->reader, request->now_ns);
    if (allowance->address != NULL)
        limit_table_take(admit->addresses, allowance->address, request->now_ns);
}

/* Stamps and appends. The stamp is taken even if the ring turns out to be full: it only has to
 * never go back. */
static enum reason admit_append(struct admit *admit, const struct admit_request *request,
                                const struct reaction *reaction, struct admit_verdict *verdict)
{
    uint32_t shard = article_shard(verdict->article, verdict->article_bytes, admit->shards);
    struct ring_producer *ring = admit->ring(admit->ring_user, shard);
    if (ring == NULL)
        return REASON_BUSY;
    struct reader reader = reader_of(request, reaction);
    struct record *record = &verdict->record;
    memset(record, 0, sizeof *record);
    record->kind = (uint8_t)reaction->kind;
    record->article = verdict->article;
    record->article_bytes = (uint8_t)verdict->article_bytes;
    if (verdict->wants_receipt) {
        record->client_id = request->client_id;
        record->client_id_bytes = (uint8_t)strlen(request->client_id);
        record->correlation = request->correlation;
        record->correlation_bytes = (uint8_t)request->correlation_bytes;
    }
    record->reader = reader_hash(&admit->key, verdict->article, verdict->article_bytes,
                                 reader.source, reader.name, reader.bytes);
    record->stamp = reaction->age_ms == 0
                        ? stamp_next(admit->last_stamp, request->unix_ms)
                        : stamp_late(admit->late_counter, request->unix_ms, reaction->age_ms);
    verdict->shard = shard;
    return ring_producer_append(ring, record) == 0 ? REASON_NONE : REASON_BUSY;
}

void admit_reaction(struct admit *admit, const struct admit_request *request,
                    struct admit_verdict *verdict)
{
    struct reaction reaction;
    struct allowance allowance = {0};

    verdict->article = NULL;
    verdict->article_bytes = 0;
    verdict->known = false;
    verdict->kind = KIND_UNKNOWN;
    verdict->wants_receipt = request->response_topic != NULL && is_own_receipts(admit, request);
    verdict->correlation_bytes =
        verdict->wants_receipt && request->correlation_bytes <= RECORD_CORRELATION_MAX_BYTES
            ? request->correlation_bytes
            : 0;

    /* The payload is parsed even if the topic is wrong: a receipt reports which parts were
     * valid. */
    enum reason topic = find_article(admit, request, verdict);
    enum reason payload = read_payload(admit, request, verdict, &reaction);
    if (topic == REASON_NONE && !article_is_probe(verdict->article, verdict->article_bytes))
        allowance.registry = admit->registry;
    if (allowance.registry != NULL)
        allowance.article =
            registry_judge(allowance.registry, verdict->article, verdict->article_bytes,
                           request->now_ns, request->unix_ms);
    verdict->known = topic == REASON_NONE &&
                     (allowance.registry == NULL || allowance.article.verdict == REGISTRY_KNOWN);
    if (topic != REASON_NONE)
        verdict->reason = topic;
    else if (payload != REASON_NONE)
        verdict->reason = payload;
    else if (allowance.article.state != NULL &&
             !registry_state_offers(allowance.article.state, reaction.kind))
        verdict->reason = REASON_UNKNOWN_KIND;
    else if (is_forbidden(request, verdict, &reaction))
        verdict->reason = REASON_FORBIDDEN;
    else
        verdict->reason = judge_limits(admit, request, &reaction, &allowance);
    if (verdict->reason == REASON_NONE && request->clock_bad)
        verdict->reason = REASON_CLOCK;
    if (verdict->reason == REASON_NONE)
        verdict->reason = admit_append(admit, request, &reaction, verdict);
    if (verdict->reason == REASON_NONE)
        admit_take(admit, request, verdict, &allowance);
}

enum admit_answer admit_answer(enum reason reason, int protocol_version, int qos)
{
    if (reason == REASON_NONE)
        return ADMIT_ACKNOWLEDGE;
    if (protocol_version < 5 && qos > 0 && (reason == REASON_BUSY || reason == REASON_CLOCK))
        return ADMIT_DISCONNECT;
    return ADMIT_REFUSE;
}

#include "admit.h"

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

static enum reason find_article(const struct admit *admit, const struct admit_wish *wish,
                                struct admit_verdict *verdict)
{
    if (strncmp(wish->topic, admit->reactions, admit->reactions_bytes) != 0)
        return REASON_BAD_TOPIC;
    const char *slash = wish->topic + admit->reactions_bytes;
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
static bool is_own_receipts(const struct admit *admit, const struct admit_wish *wish)
{
    size_t client_id_bytes = strlen(wish->client_id);
    return client_id_bytes > 0 && client_id_bytes <= RECORD_CLIENT_ID_MAX_BYTES &&
           wish->response_topic_bytes == admit->receipts_bytes + client_id_bytes &&
           memcmp(wish->response_topic, admit->receipts, admit->receipts_bytes) == 0 &&
           memcmp(wish->response_topic + admit->receipts_bytes, wish->client_id, client_id_bytes) ==
               0;
}

static enum reason read_payload(const struct admit *admit, const struct admit_wish *wish,
                                struct admit_verdict *verdict, struct reaction *reaction)
{
    if (wish->payload_bytes > REACTION_PAYLOAD_MAX_BYTES)
        return REASON_BAD_PAYLOAD;
    enum reason reason =
        reaction_parse(wish->payload, wish->payload_bytes, &admit->kinds, reaction);
    if (reason != REASON_NONE)
        return reason;
    verdict->kind = reaction->kind;
    /* Correlation data without a response topic is ignored. */
    if (wish->response_topic != NULL && wish->correlation_bytes > RECORD_CORRELATION_MAX_BYTES)
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

static struct reader reader_of(const struct admit_wish *wish, const struct reaction *reaction)
{
    if (wish->gateway)
        return (struct reader){'t', reaction->reader, reaction->reader_bytes};
    return (struct reader){wish->source, wish->reader, wish->reader_bytes};
}

static bool is_forbidden(const struct admit_wish *wish, const struct admit_verdict *verdict,
                         const struct reaction *reaction)
{
    struct reader reader = reader_of(wish, reaction);
    return wish->retain || !wish->may_react || reader.source == 0 || reader.bytes == 0 ||
           reader.bytes > READER_NAME_MAX_BYTES || (reaction->reader_bytes > 0 && !wish->gateway) ||
           (wish->response_topic != NULL && !verdict->wants_receipt);
}

uint64_t admit_reader_key(const struct admit *admit, char source, const char *reader,
                          size_t reader_bytes)
{
    return reader_hash(&admit->key, "", 0, source, reader, reader_bytes);
}

/* The tokens that an admitted reaction takes. */
struct allowance {
    struct known_answer known;
    uint64_t *reader, *address; /* buckets; NULL: no limit */
    uint64_t *reader_create, *address_create;
    uint64_t reader_key;
};

static enum reason no_article(struct admit *admit, enum known_why why)
{
    uint64_t *counts[] = {[KNOWN_OFF] = &admit->creations.off,
                          [KNOWN_RATE] = &admit->creations.rate,
                          [KNOWN_FULL] = &admit->creations.full};
    ++*counts[why];
    return REASON_UNKNOWN_ARTICLE;
}

/* Whether this reader and this address may register an article. The address is checked first, so
 * that one address does not fill the readers' table. */
static enum reason judge_creation(struct admit *admit, const struct admit_wish *wish,
                                  struct allowance *allowance)
{
    if (admit->address_creates != NULL && wish->address_limited) {
        allowance->address_create = limit_table_bucket(admit->address_creates, wish->address_key);
        if (!limit_table_left(admit->address_creates, allowance->address_create, wish->now_ns)) {
            admit->creations.address++;
            return REASON_RATE_ADDRESS;
        }
    }
    if (admit->reader_creates != NULL) {
        allowance->reader_create = limit_table_bucket(admit->reader_creates, allowance->reader_key);
        if (!limit_table_left(admit->reader_creates, allowance->reader_create, wish->now_ns)) {
            admit->creations.reader++;
            return REASON_RATE_READER;
        }
    }
    return REASON_NONE;
}

static enum reason judge_limits(struct admit *admit, const struct admit_wish *wish,
                                const struct reaction *reaction, struct allowance *allowance)
{
    if (admit->known != NULL && allowance->known.verdict == KNOWN_NO)
        return no_article(admit, allowance->known.why);
    if (allowance->known.state != NULL && !known_takes(allowance->known.state, wish->unix_ms))
        return REASON_CLOSED;
    allowance->reader_key =
        wish->gateway ? admit_reader_key(admit, 't', reaction->reader, reaction->reader_bytes)
                      : wish->reader_key;
    if (admit->readers != NULL) {
        allowance->reader = limit_table_bucket(admit->readers, allowance->reader_key);
        if (!limit_table_left(admit->readers, allowance->reader, wish->now_ns))
            return REASON_RATE_READER;
    }
    if (admit->addresses != NULL && wish->address_limited) {
        allowance->address = limit_table_bucket(admit->addresses, wish->address_key);
        if (!limit_table_left(admit->addresses, allowance->address, wish->now_ns))
            return REASON_RATE_ADDRESS;
    }
    if (admit->known != NULL && allowance->known.verdict == KNOWN_MAY_BE)
        return judge_creation(admit, wish, allowance);
    return REASON_NONE;
}

struct known_who admit_who(bool address_limited, uint64_t address_key, uint64_t reader_key)
{
    return (struct known_who){.key = address_limited ? address_key : reader_key,
                              .address = address_limited};
}

static void take(struct admit *admit, const struct admit_wish *wish,
                 const struct admit_verdict *verdict, const struct allowance *allowance)
{
    struct known_who who =
        admit_who(wish->address_limited, wish->address_key, allowance->reader_key);
    who.reader = verdict->record.reader;
    if (admit->known != NULL)
        known_use(admit->known, &allowance->known, verdict->article, verdict->article_bytes, &who,
                  wish->now_ns, wish->unix_ms);
    if (allowance->known.verdict == KNOWN_MAY_BE)
        admit->creations.made++;
    if (allowance->address_create != NULL)
        limit_table_take(admit->address_creates, allowance->address_create, wish->now_ns);
    if (allowance->reader_create != NULL)
        limit_table_take(admit->reader_creates, allowance->reader_create, wish->now_ns);
    if (allowance->reader != NULL)
        limit_table_take(admit->readers, allowance->reader, wish->now_ns);
    if (allowance->address != NULL)
        limit_table_take(admit->addresses, allowance->address, wish->now_ns);
}

/* Stamps and appends. The stamp is taken even if the ring turns out to be full: it only has to
 * never go back. */
static enum reason append(struct admit *admit, const struct admit_wish *wish,
                          const struct reaction *reaction, struct admit_verdict *verdict)
{
    uint32_t shard = article_shard(verdict->article, verdict->article_bytes, admit->shards);
    struct spool_producer *ring = admit->ring(admit->ring_user, shard);
    if (ring == NULL)
        return REASON_BUSY;
    struct reader reader = reader_of(wish, reaction);
    struct record *record = &verdict->record;
    memset(record, 0, sizeof *record);
    record->kind = (uint8_t)reaction->kind;
    record->article = verdict->article;
    record->article_bytes = (uint8_t)verdict->article_bytes;
    if (verdict->wants_receipt) {
        record->client_id = wish->client_id;
        record->client_id_bytes = (uint8_t)strlen(wish->client_id);
        record->correlation = wish->correlation;
        record->correlation_bytes = (uint8_t)wish->correlation_bytes;
    }
    record->reader = reader_hash(&admit->key, verdict->article, verdict->article_bytes,
                                 reader.source, reader.name, reader.bytes);
    record->stamp = reaction->age_ms == 0
                        ? stamp_next(admit->last_stamp, wish->unix_ms)
                        : stamp_late(admit->late_counter, wish->unix_ms, reaction->age_ms);
    verdict->shard = shard;
    return spool_append(ring, record) == 0 ? REASON_NONE : REASON_BUSY;
}

void admit_reaction(struct admit *admit, const struct admit_wish *wish,
                    struct admit_verdict *verdict)
{
    struct reaction reaction;
    struct allowance allowance = {0};

    verdict->article = NULL;
    verdict->article_bytes = 0;
    verdict->known = false;
    verdict->kind = KIND_UNKNOWN;
    verdict->wants_receipt = wish->response_topic != NULL && is_own_receipts(admit, wish);
    verdict->correlation_bytes =
        verdict->wants_receipt && wish->correlation_bytes <= RECORD_CORRELATION_MAX_BYTES
            ? wish->correlation_bytes
            : 0;

    /* The payload is parsed even if the topic is wrong: a receipt reports which parts were
     * valid. */
    enum reason topic = find_article(admit, wish, verdict);
    enum reason payload = read_payload(admit, wish, verdict, &reaction);
    if (topic == REASON_NONE && admit->known != NULL)
        allowance.known = known_judge(admit->known, verdict->article, verdict->article_bytes,
                                      wish->now_ns, wish->unix_ms);
    verdict->known =
        topic == REASON_NONE && (admit->known == NULL || allowance.known.verdict == KNOWN_YES);
    if (topic != REASON_NONE)
        verdict->reason = topic;
    else if (payload != REASON_NONE)
        verdict->reason = payload;
    else if (allowance.known.state != NULL && !known_offers(allowance.known.state, reaction.kind))
        verdict->reason = REASON_UNKNOWN_KIND;
    else if (is_forbidden(wish, verdict, &reaction))
        verdict->reason = REASON_FORBIDDEN;
    else
        verdict->reason = judge_limits(admit, wish, &reaction, &allowance);
    if (verdict->reason == REASON_NONE && wish->clock_bad)
        verdict->reason = REASON_CLOCK;
    if (verdict->reason == REASON_NONE)
        verdict->reason = append(admit, wish, &reaction, verdict);
    if (verdict->reason == REASON_NONE)
        take(admit, wish, verdict, &allowance);
}

enum admit_answer admit_answer(enum reason reason, int protocol_version, int qos)
{
    if (reason == REASON_NONE)
        return ADMIT_ACKNOWLEDGE;
    if (protocol_version < 5 && qos > 0 && (reason == REASON_BUSY || reason == REASON_CLOCK))
        return ADMIT_DISCONNECT;
    return ADMIT_REFUSE;
}

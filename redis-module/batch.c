/* Vote by vote: the newer of two values holds, and the head counts what holds. */
#include "batch.h"

#include "registers.h"

#include "core/bytes.h"

#include <string.h>

#define BUCKET_GROWTH 3 /* a split leaves this many buckets more */

struct batch {
    struct shard *shard;
    struct keys *keys;
    const struct call *call;
    struct answer *answer;
    struct registers registers;
    size_t index; /* of the vote */

    /* The current article. */
    struct head head;
    uint64_t limit;               /* voters before the next split */
    int64_t more[HEAD_KINDS + 1]; /* the change of each kind's count … */
    unsigned kinds_moved;         /* … and which of them change */
    bool dirty, moved;            /* the head changes; what is shown changes */
};

/* A register's value is a big-endian number. */
static uint64_t value_of(const unsigned char in[CALL_VALUE_BYTES])
{
    uint64_t value = 0;
    for (int i = 0; i < CALL_VALUE_BYTES; i++)
        value = value << 8 | in[i];
    return value;
}

/* The kind that a value counts for; 0: none. */
static unsigned counted_kind(const struct batch *batch, uint64_t value)
{
    if (batch->head.floored && value >> 4 <= batch->head.floor)
        return 0;
    return value & 15;
}

static void batch_count(struct batch *batch, unsigned kind, int by)
{
    batch->more[kind] += by;
    batch->kinds_moved |= 1U << kind;
    batch->moved = true;
}

static void set_limit(struct batch *batch)
{
    uint64_t size = UINT64_C(1) << 2 * batch->head.level;
    batch->limit = batch->call->threshold * (size + BUCKET_GROWTH * (uint64_t)batch->head.split);
}

/* After an error the bucket stays whole, and the next call tries again. */
static void batch_split(struct batch *batch)
{
    const char *why = registers_split(&batch->registers, &batch->head);
    if (why == NULL) {
        set_limit(batch);
        return;
    }
    batch->answer->split_error = why;
    batch->limit = UINT64_MAX;
}

static void put(struct batch *batch, const struct keys_key *bucket, RedisModuleString *field,
                const unsigned char *value)
{
    RedisModuleString *text = keys_string(batch->keys, value, CALL_VALUE_BYTES);
    keys_hash_set(batch->keys, bucket, field, text);
    keys_free(batch->keys, text);
}

static void vote_new(struct batch *batch, uint64_t value)
{
    unsigned kind = counted_kind(batch, value);
    batch->answer->added++;
    batch->head.voters++;
    batch->dirty = true;
    if (kind != 0)
        batch_count(batch, kind, 1);
    batch->moved |= batch->head.forgotten; /* the article is shown again */
    if (batch->head.voters > batch->limit)
        batch_split(batch);
}

static void vote_newer(struct batch *batch, uint64_t old, uint64_t value)
{
    unsigned old_kind = counted_kind(batch, old), kind = counted_kind(batch, value);
    batch->answer->changed++;
    if (batch->head.forgotten)
        batch->dirty = batch->moved = true;
    if (kind == old_kind)
        return;
    batch->dirty = true;
    if (old_kind != 0)
        batch_count(batch, old_kind, -1);
    if (kind != 0)
        batch_count(batch, kind, 1);
}

static void vote_older(struct batch *batch, uint64_t old)
{
    struct answer *answer = batch->answer;
    unsigned char *at = answer->superseded + answer->superseded_bytes;
    bytes_put_u16(at, (uint16_t)batch->index);
    at[2] = old & 15;
    answer->superseded_bytes += ANSWER_SUPERSEDED_BYTES;
}

/* Returns NULL, or why the vote cannot be applied. */
static const char *vote_again(struct batch *batch, const struct keys_key *bucket,
                              RedisModuleString *field, RedisModuleString *stored,
                              const unsigned char *in)
{
    size_t bytes;
    const char *found = batch->keys->api->string_ptr_len(stored, &bytes);
    if (bytes != CALL_VALUE_BYTES)
        return "BADREGISTER not 7 bytes";
    uint64_t old = value_of((const unsigned char *)found), value = value_of(in);
    if (value == old) {
        batch->answer->repeated++;
    } else if (value < old) {
        vote_older(batch, old);
    } else {
        put(batch, bucket, field, in);
        vote_newer(batch, old, value);
    }
    return NULL;
}

static const char *vote(struct batch *batch, const unsigned char *in)
{
    const char *why = NULL;
    const struct keys_key *bucket = registers_bucket(&batch->registers, &batch->head, in);
    if (bucket == NULL)
        return KEYS_WRONG_TYPE;
    RedisModuleString *field = keys_string(batch->keys, in, CALL_HASH_BYTES);
    RedisModuleString *stored = keys_hash_get(batch->keys, bucket, field);
    in += CALL_HASH_BYTES;
    if (stored == NULL) {
        put(batch, bucket, field, in);
        vote_new(batch, value_of(in));
    } else {
        why = vote_again(batch, bucket, field, stored, in);
    }
    keys_free(batch->keys, stored);
    keys_free(batch->keys, field);
    batch->index++;
    return why;
}

static void write_head(struct batch *batch, RedisModuleString *article)
{
    struct head *head = &batch->head;
    bool renews = batch->call->renew && head->stored;
    if (!batch->dirty && !renews)
        return;
    for (unsigned kind = 1; kind <= HEAD_KINDS; kind++)
        if (batch->kinds_moved >> kind & 1)
            head_count(head, kind, batch->more[kind]);
    head->forgotten = head->forgotten && !batch->dirty;
    shard_set_head(batch->shard, article, head,
                   batch->moved || batch->call->renew || !head->stored);
}

/* Returns NULL, or why it stopped. */
static const char *apply_article(struct batch *batch, const struct call_articles *article)
{
    const char *why = NULL;
    if (shard_head(batch->shard, article->name, &batch->head) < 0)
        return "BADHEAD a head of an unknown format";
    batch->dirty = batch->moved = false;
    batch->kinds_moved = 0;
    memset(batch->more, 0, sizeof batch->more);
    set_limit(batch);
    registers_begin(&batch->registers, batch->call, batch->head.number);
    for (size_t at = 0; why == NULL && at < article->votes_bytes; at += CALL_VOTE_BYTES)
        why = vote(batch, article->votes + at);
    registers_end(&batch->registers);
    write_head(batch, article->name);
    return why;
}

void batch_apply(struct shard *shard, struct keys *keys, const struct call *call,
                 struct answer *answer)
{
    struct batch batch = {.shard = shard, .keys = keys, .call = call, .answer = answer};
    struct call_articles article;
    const char *why = NULL;
    registers_init(&batch.registers, keys);
    call_articles_begin(&article, call, keys->api);
    while (why == NULL && call_articles_next(&article)) {
        why = apply_article(&batch, &article);
        if (why != NULL)
            answer_error(answer, why, article.next);
    }
    call_articles_end(&article);
    shard_finish(shard, why == NULL);
}

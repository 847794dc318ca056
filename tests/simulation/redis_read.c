/* What only reads, and touch.lua. */
#include "redis_scripts.h"

#include "judge.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void redis_read_store(const struct redis_words *words, struct redis_reply *reply)
{
    char id[17];
    const struct redis_shard *shard = redis_shard(redis_shard_of(words->word[1]));
    snprintf(id, sizeof id, "%016" PRIx64, shard->store);
    if (shard->store == 0)
        redis_reply_add(reply, REDIS_REPLY_NIL);
    else
        redis_reply_words(reply, id);
}

void redis_read_rings(const struct redis_words *words, struct redis_reply *reply)
{
    const struct redis_shard *shard = redis_shard(redis_shard_of(words->word[1]));
    unsigned char value[REDIS_RING_BYTES];
    char id[17];
    size_t n = 0;
    for (int i = 0; i < REDIS_RINGS; i++)
        n += shard->ring[i].id != 0;
    redisReply *all = redis_reply_array(reply, 2 * n);
    n = 0;
    for (int i = 0; i < REDIS_RINGS; i++) {
        if (shard->ring[i].id == 0)
            continue;
        snprintf(id, sizeof id, "%016" PRIx64, shard->ring[i].id);
        redis_ring_bytes(&shard->ring[i], value);
        all->element[n++] = redis_reply_words(reply, id);
        all->element[n++] = redis_reply_text(reply, value, sizeof value);
    }
}

/* Words of a command: ZRANGEBYSCORE key (low high …, or ZREVRANGEBYSCORE key high
 * (low … */
static redisReply *range_of(const char *const *word, struct redis_reply *reply)
{
    const struct redis_shard *shard = redis_shard(redis_shard_of(word[1]));
    bool reverse = strcmp(word[0], "ZREVRANGEBYSCORE") == 0;
    const char *above = word[reverse ? 3 : 2], *upto = word[reverse ? 2 : 3];
    uint64_t low = strtoull(above + 1, NULL, 10);
    uint64_t high = upto[0] == '+' ? UINT64_MAX : strtoull(upto, NULL, 10);
    size_t limit = strtoull(word[7], NULL, 10), n = 0;
    unsigned order[WORLD_ARTICLES];
    char score[24];
    for (unsigned a = 0; a < WORLD_ARTICLES; a++) {
        uint64_t at = shard->changed[a];
        if (at == 0 || at <= low || at > high)
            continue;
        size_t i = n++;
        for (; i > 0 && (shard->changed[order[i - 1]] > at) != reverse; i--)
            order[i] = order[i - 1];
        order[i] = a;
    }
    n = n < limit ? n : limit;
    redisReply *all = redis_reply_array(reply, 2 * n);
    for (size_t i = 0; i < n; i++) {
        snprintf(score, sizeof score, "%" PRIu64, shard->changed[order[i]]);
        all->element[2 * i] =
            redis_reply_text(reply, world.article[order[i]].name, world.article[order[i]].bytes);
        all->element[2 * i + 1] = redis_reply_words(reply, score);
    }
    return all;
}

redisReply *redis_read_head(struct redis_reply *reply, const struct redis_head *head)
{
    unsigned char out[REDIS_HEAD_BYTES];
    if (!head->exists)
        return redis_reply_add(reply, REDIS_REPLY_NIL);
    return redis_reply_text(reply, out, redis_head_bytes(head, out));
}

redisReply *redis_read_base(struct redis_reply *reply, const struct redis_shard *shard,
                            unsigned article)
{
    unsigned char out[2 + 9 * KIND_MAX] = {1, 0};
    size_t bytes = 2;
    if (!shard->has_base[article])
        return redis_reply_add(reply, REDIS_REPLY_NIL);
    for (unsigned kind = 1; kind <= KIND_MAX; kind++) {
        if (shard->base[article][kind] == 0)
            continue;
        out[1]++;
        out[bytes] = (unsigned char)kind;
        bytes_put_u64(out + bytes + 1, (uint64_t)shard->base[article][kind]);
        bytes += 9;
    }
    return redis_reply_text(reply, out, bytes);
}

/* HMGET key article …, with a key that may be another one than the words have. */
static redisReply *fields_of(const char *key, const char *const *word, const size_t *bytes,
                             size_t n, struct redis_reply *reply)
{
    const struct redis_shard *shard = redis_shard(redis_shard_of(key));
    bool heads = strstr(key, ":heads") != NULL, base = strstr(key, ":base") != NULL;
    redisReply *all = redis_reply_array(reply, n - 2);
    for (size_t i = 2; i < n; i++) {
        int article = world_find_article(word[i], bytes[i]);
        if (article < 0)
            abort();
        all->element[i - 2] = heads  ? redis_read_head(reply, &shard->head[article])
                              : base ? redis_read_base(reply, shard, (unsigned)article)
                                     : redis_reply_add(reply, REDIS_REPLY_NIL); /* no state */
    }
    return all;
}

bool redis_scripts_is_store(const struct redis_shard *shard, const char *id,
                            struct redis_reply *reply)
{
    char now[17] = "";
    if (shard->store != 0)
        snprintf(now, sizeof now, "%016" PRIx64, shard->store);
    if (strcmp(now, id) == 0)
        return true;
    redisReply *all = redis_reply_array(reply, 2);
    all->element[0] = redis_reply_words(reply, "store");
    all->element[1] = redis_reply_words(reply, now);
    return false;
}

/* The words of the command before, with another key. */
static redisReply *again(const char *key, const char *const *word, const size_t *bytes, size_t n,
                         struct redis_reply *reply)
{
    redisReply *all = fields_of(key, word, bytes, n, reply);
    for (size_t i = 0; i < all->elements; i++)
        if (all->element[i]->type != REDIS_REPLY_NIL)
            return all;
    return redis_reply_array(reply, 0); /* there may be no such key */
}

/* HMGET meta store version; HMGET heads|base|states article …; a range of changes. */
void redis_read_plain(const struct redis_words *words, struct redis_reply *reply)
{
    const struct redis_shard *shard = redis_shard(redis_shard_of(words->word[1]));
    if (words->word[0][0] == 'Z') {
        range_of((const char *const *)words->word, reply);
    } else if (strstr(words->word[1], ":meta") == NULL) {
        fields_of(words->word[1], (const char *const *)words->word, words->bytes, (size_t)words->n,
                  reply);
    } else {
        redisReply *all = redis_reply_array(reply, 2);
        char id[17];
        snprintf(id, sizeof id, "%016" PRIx64, shard->store);
        all->element[0] = shard->store == 0 ? redis_reply_add(reply, REDIS_REPLY_NIL)
                                            : redis_reply_words(reply, id);
        all->element[1] = redis_reply_digits(reply, shard->version);
    }
}

/* Where the command after the one at `at` begins. */
static size_t next_command(const struct redis_words *words, size_t at)
{
    size_t n = strtoul(words->word[at], NULL, 10);
    return at + (n > 0 ? 1 + n : 2);
}

/* EVALSHA read.lua n meta keys, id, then the commands, each after the number of its words */
void redis_read_run(const struct redis_words *words, struct redis_reply *reply)
{
    size_t commands = 0, first = redis_scripts_argv(words) + 1, at;
    if (!redis_scripts_is_store(redis_shard(redis_shard_of(words->word[3])), words->word[first - 1],
                                reply))
        return;
    for (at = first; at < (size_t)words->n; at = next_command(words, at))
        commands++;
    redisReply *all = redis_reply_array(reply, commands + 1);
    all->element[0] = redis_reply_words(reply, "ok");
    commands = 1;
    size_t before = first;
    for (at = first; at < (size_t)words->n; at = next_command(words, at)) {
        const char *key = words->word[at + 1];
        bool repeats = strcmp(words->word[at], "0") == 0;
        before = repeats ? before : at;
        size_t n = strtoul(words->word[before], NULL, 10);
        const char *const *word = words->word + before + 1;
        const size_t *bytes = words->bytes + before + 1;
        if (repeats) {
            all->element[commands++] = again(key, word, bytes, n, reply);
        } else if (strcmp(word[0], "HMGET") == 0) {
            all->element[commands++] = fields_of(word[1], word, bytes, n, reply);
        } else if (strcmp(word[0], "HGET") == 0) {
            char version[24];
            snprintf(version, sizeof version, "%" PRIu64,
                     redis_shard(redis_shard_of(word[1]))->version);
            all->element[commands++] = redis_reply_words(reply, version);
        } else {
            all->element[commands++] = range_of(word, reply);
        }
    }
}

/* EVAL touch.lua 3 heads changed meta, article above shard id */
void redis_read_touch(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned number_of = redis_shard_of(words->word[3]);
    struct redis_shard *shard = redis_shard(number_of);
    size_t at = redis_scripts_argv(words);
    int article = world_find_article(words->word[at], words->bytes[at]);
    uint64_t above = strtoull(words->word[at + 1], NULL, 10), now = world_redis_us();
    char version[24];
    if (article < 0)
        abort();
    if (!redis_scripts_is_store(shard, words->word[at + 3], reply))
        return;
    redisReply *all = redis_reply_array(reply, 2);
    if (redis_paused_us(shard) > 0) {
        all->element[0] = redis_reply_words(reply, "paused");
        all->element[1] =
            redis_reply_number(reply, (long long)(redis_paused_us(shard) + 999) / 1000);
        return;
    }
    struct redis_head *head = &shard->head[article];
    bool done = head->exists && head->version > above;
    if (!done) {
        redis_commit(number_of);
        shard->version = shard->version + 1 > now ? shard->version + 1 : now;
        if (shard->version <= above)
            shard->version = above + 1;
        if (!head->exists)
            *head = (struct redis_head){.exists = true, .number = ++shard->articles};
        head->version = shard->changed[article] = shard->version;
        judge_commit_version(number_of, (unsigned)article, head->version);
        judge_commit_shard(number_of);
    }
    snprintf(version, sizeof version, "%" PRIu64, head->version);
    all->element[0] = redis_reply_words(reply, "ok");
    all->element[1] = redis_reply_words(reply, version);
    if (!done)
        redis_changed(number_of);
}

/* pause.lua and count.lua of lib/audit, step by step. */
#include "redis_scripts.h"

#include "judge.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* EVAL pause.lua 1 meta whose ms */
void redis_audit_pause(const struct redis_words *words, struct redis_reply *reply)
{
    struct redis_shard *shard = redis_shard(redis_shard_of(words->word[3]));
    uint64_t whose = strtoull(words->word[4], NULL, 16), now = world_redis_us();
    uint64_t wanted = strtoull(words->word[5], NULL, 10) * 1000;
    uint64_t length = shard->pause_to - shard->pause_from;
    bool sane = shard->pause_to != 0 && shard->pause_from <= now &&
                shard->pause_from <= shard->pause_to && length <= REDIS_PAUSE_MAX_US;
    redisReply *all = redis_reply_array(reply, wanted == 0 ? 1 : 2);
    if (wanted > REDIS_PAUSE_MAX_US)
        wanted = REDIS_PAUSE_MAX_US;
    if (wanted == 0) {
        if (whose == shard->pause_whose && redis_paused_us(shard) > 0)
            shard->pause_to = now;
        all->element[0] = redis_reply_words(reply, "ended");
    } else if (sane && now < shard->pause_to + length) {
        all->element[0] = redis_reply_words(reply, "wait");
        all->element[1] =
            redis_reply_number(reply, (long long)(shard->pause_to + length - now + 999) / 1000);
    } else {
        shard->pause_from = now;
        shard->pause_to = now + wanted;
        shard->pause_whose = whose;
        all->element[0] = redis_reply_words(reply, "paused");
        all->element[1] = redis_reply_number(reply, (long long)(wanted / 1000));
    }
}

/* Registers by kind, registers, misplaced, of an unknown form, buckets. */
static void count_registers(const struct redis_shard *shard, const struct redis_head *head,
                            bool readable, unsigned char out[80])
{
    uint32_t found[20] = {0};
    uint32_t size = redis_buckets(head->level);
    for (uint32_t i = 0; i < shard->registers && readable; i++) {
        const struct redis_register *reg = &shard->reg[i];
        if (reg->number != head->number)
            continue;
        found[head->floored && reg->value >> 4 <= head->floor ? 0 : reg->value & 15]++;
        found[16]++;
        found[17] += reg->bucket != redis_bucket(reg->reader, size, head->split);
    }
    found[18] = readable ? 0 : 1;
    found[19] = size + 3 * head->split;
    for (int i = 0; i < 20; i++)
        bytes_put_u32(out + 4 * i, found[i]);
}

/* EVAL count.lua 4 heads base changed meta article head counted cursor most: all in one slice. */
void redis_audit_count(const struct redis_words *words, struct redis_reply *reply)
{
    unsigned number_of = redis_shard_of(words->word[3]);
    const struct redis_shard *shard = redis_shard(number_of);
    int article = world_find_article(words->word[7], words->bytes[7]);
    char score[24], version[24];
    unsigned char found[80];
    if (article < 0 || !shard->head[article].exists) {
        redis_reply_array(reply, 1)->element[0] = redis_reply_words(reply, "none");
        return;
    }
    const struct redis_head *head = &shard->head[article];
    redisReply *all = redis_reply_array(reply, 8), *now = redis_read_head(reply, head);
    if (words->bytes[8] > 0 && (words->bytes[8] != (size_t)now->len ||
                                memcmp(words->word[8], now->str, words->bytes[8]) != 0)) {
        redis_reply_begin(reply);
        redis_reply_array(reply, 1)->element[0] = redis_reply_words(reply, "changed");
        return;
    }
    count_registers(shard, head, redis.poisoned[number_of] != article, found);
    snprintf(score, sizeof score, "%" PRIu64, shard->changed[article]);
    snprintf(version, sizeof version, "%" PRIu64, shard->version);
    all->element[0] = redis_reply_words(reply, "ok");
    all->element[1] = now;
    all->element[2] = shard->has_base[article] ? redis_read_base(reply, shard, (unsigned)article)
                                               : redis_reply_text(reply, "", 0);
    all->element[3] = redis_reply_words(reply, shard->changed[article] != 0 ? score : "");
    all->element[4] = redis_reply_words(reply, version);
    all->element[5] = redis_reply_number(reply, (long long)bytes_get_u32(found + 76));
    all->element[6] = redis_reply_words(reply, "0");
    all->element[7] = redis_reply_text(reply, found, sizeof found);
}

/* HRANDFIELD heads */
void redis_audit_random(const struct redis_words *words, struct redis_reply *reply)
{
    const struct redis_shard *shard = redis_shard(redis_shard_of(words->word[1]));
    unsigned from = (unsigned)(world_id() % WORLD_ARTICLES);
    for (unsigned i = 0; i < WORLD_ARTICLES; i++) {
        unsigned article = (from + i) % WORLD_ARTICLES;
        if (!shard->head[article].exists)
            continue;
        redis_reply_text(reply, world.article[article].name, world.article[article].bytes);
        return;
    }
    redis_reply_add(reply, REDIS_REPLY_NIL);
}

/* Adds up the answers of count.lua, and starts again when the head changed between two of them. */
#include "audit/audit_count.h"

#include "core/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENTS 8
#define NUMBERS 20

void audit_count_begin(struct audit_count *count, const char *article, size_t article_bytes,
                       uint32_t shard, unsigned slice)
{
    audit_count_begin_in(count, REDIS_KEY_PREFIX, article, article_bytes, shard, slice);
}

void audit_count_begin_in(struct audit_count *count, const char *prefix, const char *article,
                          size_t article_bytes, uint32_t shard, unsigned slice)
{
    static const char *const names[AUDIT_COUNT_KEYS] = {"heads", "base", "changed", "meta"};
    memset(count, 0, sizeof *count);
    count->article_bytes = article_bytes < ARTICLE_MAX_BYTES ? article_bytes : ARTICLE_MAX_BYTES;
    memcpy(count->article, article, count->article_bytes);
    for (int i = 0; i < AUDIT_COUNT_KEYS; i++)
        redis_key(count->key[i], prefix, shard, names[i]);
    snprintf(count->most, sizeof count->most, "%u",
             slice < AUDIT_COUNT_SLICE_MAX ? slice : AUDIT_COUNT_SLICE_MAX);
    snprintf(count->cursor, sizeof count->cursor, "0");
}

void audit_count_arguments(struct audit_count *count, const char **argv, size_t *bytes)
{
    size_t n = 0;
    snprintf(count->at, sizeof count->at, "%" PRIu64, count->counted);
    argv[n++] = "4";
    for (int i = 0; i < AUDIT_COUNT_KEYS; i++)
        argv[n++] = count->key[i];
    argv[n++] = count->article;
    argv[n++] = (const char *)count->head;
    argv[n++] = count->at;
    argv[n++] = count->cursor;
    argv[n++] = count->most;
    for (size_t i = 0; i < n; i++)
        bytes[i] = argv[i] == (const char *)count->head ? count->head_bytes : strlen(argv[i]);
    bytes[1 + AUDIT_COUNT_KEYS] = count->article_bytes;
}

static bool understood(const redisReply *reply)
{
    if (reply->elements != ELEMENTS)
        return false;
    for (size_t i = 1; i < ELEMENTS; i++)
        if (i != 5 && reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return reply->element[5]->type == REDIS_REPLY_INTEGER && reply->element[5]->integer >= 0 &&
           reply->element[1]->len <= TOTAL_HEAD_MAX_BYTES &&
           reply->element[6]->len < (int)sizeof((struct audit_count *)NULL)->cursor &&
           reply->element[7]->len == NUMBERS * 4;
}

static enum audit_count_step add_slice(struct audit_count *count, const redisReply *reply)
{
    const unsigned char *number = (const unsigned char *)reply->element[7]->str;
    const redisReply *head = reply->element[1], *base = reply->element[2];
    memcpy(count->head, head->str, (size_t)head->len);
    count->head_bytes = (size_t)head->len;
    count->base_bytes = SIZE_MAX;
    if ((size_t)base->len <= sizeof count->base) {
        memcpy(count->base, base->str, (size_t)base->len);
        count->base_bytes = (size_t)base->len;
    }
    count->changed = strtoull(reply->element[3]->str, NULL, 10);
    count->last_version = strtoull(reply->element[4]->str, NULL, 10);
    count->counted = (uint64_t)reply->element[5]->integer;
    snprintf(count->cursor, sizeof count->cursor, "%s", reply->element[6]->str);
    for (int id = 0; id <= KIND_MAX; id++)
        count->count[id] += bytes_get_u32(number + (size_t)id * 4);
    uint64_t registers = bytes_get_u32(number + 64);
    count->registers += registers;
    count->misplaced += bytes_get_u32(number + 68);
    count->malformed += bytes_get_u32(number + 72);
    count->buckets = bytes_get_u32(number + 76);
    count->slices++;
    if (registers > count->largest_slice)
        count->largest_slice = registers;
    return count->counted < count->buckets ? AUDIT_COUNT_MORE : AUDIT_COUNT_DONE;
}

enum audit_count_step audit_count_answer(struct audit_count *count, const redisReply *reply)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        reply->element[0]->type != REDIS_REPLY_STRING)
        return AUDIT_COUNT_FAILED;
    const char *word = reply->element[0]->str;
    count->moving = strcmp(word, "moving") == 0;
    if (count->moving)
        return AUDIT_COUNT_CHANGED;
    if (strcmp(word, "none") == 0)
        return count->slices == 0 ? AUDIT_COUNT_ABSENT : AUDIT_COUNT_CHANGED;
    if (strcmp(word, "changed") == 0)
        return AUDIT_COUNT_CHANGED;
    if (strcmp(word, "bad") == 0)
        return AUDIT_COUNT_DAMAGED;
    if (strcmp(word, "ok") != 0 || !understood(reply))
        return AUDIT_COUNT_FAILED;
    return add_slice(count, reply);
}

bool audit_count_is_long(const struct audit_count *count)
{
    return count->slices > 1 || (count->slices == 1 && count->counted < count->buckets);
}

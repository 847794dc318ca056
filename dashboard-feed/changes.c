/* Asks for a range of the changed set together with the shard's version, which shows whether Redis
 * went back. */
#include "changes.h"

#include "attempt.h"
#include "query.h"
#include "reply.h"

#include "core/article.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define VERSION_MAX 9007199254740991.0 /* that a score holds exactly */

struct range {
    struct store_link *link;
    uint32_t shard;
    changes_cb callback;
    void *user;
};

/* A member that is not an article is kept with 0 bytes, so that a caller paging through the set
 * gets past it. */
static bool read_change(struct store_link *link, struct changes_entry *change,
                        const redisReply *member, const redisReply *score)
{
    char *end;
    if (!reply_is_string(member) || !reply_is_string(score))
        return false;
    double version = strtod(score->str, &end);
    if (*end != '\0' || !(version >= 1) || version > VERSION_MAX)
        return false;
    bool valid = article_valid(member->str, (size_t)member->len);
    if (!valid)
        store_report_bad(store_link_report(link), "changed set has a bad member", member->str,
                         (size_t)member->len);
    *change = (struct changes_entry){.article = member->str,
                                     .article_bytes = valid ? (size_t)member->len : 0,
                                     .version = (uint64_t)version};
    return true;
}

static size_t read_changes(struct store_link *link, const redisReply *pairs,
                           struct changes_entry changes[CHANGES_RANGE_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < pairs->elements && n < CHANGES_RANGE_MAX; i += 2) {
        if (read_change(link, &changes[n], pairs->element[i], pairs->element[i + 1]))
            n++;
        else
            store_link_report(link)->bad++;
    }
    return n;
}

static void on_range(void *user, const redisReply *data)
{
    static const char why[] = "a reply without a range";
    struct range *range = user;
    struct changes_entry changes[CHANGES_RANGE_MAX];
    size_t n = 0;
    long got = -1;
    redisReply *const *answer = query_answers(range->link, range->shard, data, 2, why);
    if (answer != NULL && answer[1]->type != REDIS_REPLY_ARRAY) {
        store_link_refuse(range->link, range->shard, answer[1], why);
    } else if (answer != NULL) {
        uint64_t version = reply_is_string(answer[0]) ? strtoull(answer[0]->str, NULL, 10) : 0;
        if (!store_link_version(range->link, range->shard, version)) {
            got = (long)(answer[1]->elements / 2);
            n = read_changes(range->link, answer[1], changes);
        }
    }
    range->callback(range->user, range->shard, changes, n, got);
    free(range);
}

static int send_range(struct range *range, uint64_t low, uint64_t high, bool newest_first,
                      size_t limit)
{
    char key[REDIS_KEY_BYTES], meta[REDIS_KEY_BYTES];
    char above[32], upto[32] = "+inf", count[24];
    struct query query;
    store_link_key(range->link, key, range->shard, "changed");
    store_link_key(range->link, meta, range->shard, "meta");
    snprintf(above, sizeof above, "(%" PRIu64, low);
    if (high != UINT64_MAX)
        snprintf(upto, sizeof upto, "%" PRIu64, high);
    snprintf(count, sizeof count, "%zu", limit);
    const char *words[] = {newest_first ? "ZREVRANGEBYSCORE" : "ZRANGEBYSCORE",
                           key,
                           newest_first ? upto : above,
                           newest_first ? above : upto,
                           "WITHSCORES",
                           "LIMIT",
                           "0",
                           count};
    query_init(&query, range->link, range->shard, key);
    query_command(&query, 3);
    query_text(&query, "HGET");
    query_text(&query, meta);
    query_text(&query, "version");
    query_command(&query, 8);
    for (int i = 0; i < 8; i++)
        query_text(&query, words[i]);
    return attempt_send(&query, on_range, range);
}

int changes_range(struct store_link *link, uint32_t shard, uint64_t low, uint64_t high,
                  bool newest_first, size_t limit, changes_cb callback, void *user)
{
    if (!store_link_shard_ready(link, shard))
        return -1;
    struct range *range = malloc(sizeof *range);
    if (range == NULL)
        return -1;
    *range = (struct range){.link = link, .shard = shard, .callback = callback, .user = user};
    if (send_range(range, low, high, newest_first, limit) != 0) {
        free(range);
        return -1;
    }
    store_link_counters(link)->ranges++;
    return 0;
}

/* Asks each shard once for all that a lookup wants of it, and calls back when the last shard has
 * answered. What a shard that is away would have said stays as it was made: LOOKUP_AWAY. */
#include "lookup.h"

#include "attempt.h"
#include "query.h"
#include "reply.h"

#include "core/article.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_KEYS 3 /* heads, base, states */

_Static_assert(LOOKUP_KEYS <= QUERY_COMMANDS_MAX, "a command a key");
_Static_assert(LOOKUP_ARTICLES_MAX + 2 * LOOKUP_KEYS + 8 <= QUERY_WORDS_MAX,
               "a query holds the largest lookup");

struct lookup {
    struct store_link *link;
    lookup_cb callback;
    void *user;
    unsigned pending; /* shards whose reply has not come */
    size_t n;
    char *text; /* the articles, one after another */
    struct lookup_total total[];
};

struct part {
    struct lookup *lookup;
    uint32_t shard;
};

static void lookup_finish(struct lookup *lookup)
{
    lookup->callback(lookup->user, lookup->total, lookup->n);
    for (size_t i = 0; i < lookup->n; i++)
        free((void *)lookup->total[i].state);
    free(lookup->text);
    free(lookup);
}

/* The state, to be freed; NULL if it is none (*bad), or for no memory. */
static struct article_state *read_state(const struct lookup_total *total, const redisReply *stored,
                                        bool *is_bad)
{
    struct article_state *state = malloc(sizeof *state);
    *is_bad = state == NULL ||
              article_state_parse(state, total->article, total->article_bytes, stored->str,
                                  (size_t)stored->len) != 0 ||
              state->version == 0;
    if (*is_bad) {
        free(state);
        return NULL;
    }
    return state;
}

static void read_total(struct store_link *link, struct lookup_total *total, const redisReply *head,
                       const redisReply *base, const redisReply *state)
{
    bool bad_state = false;
    if (reply_is_string(state)) /* few have one */
        total->state = read_state(total, state, &bad_state);
    total->outcome = LOOKUP_NONE;
    memset(&total->total, 0, sizeof total->total);
    if (reply_is_string(head)) {
        total->outcome = LOOKUP_FOUND;
        if (total_parse_head(&total->total, head->str, (size_t)head->len) != 0)
            goto wrong;
    }
    if (total->total.forgotten)
        memset(total->total.count, 0, sizeof total->total.count);
    if (reply_is_string(base) && total_add_base(&total->total, base->str, (size_t)base->len) != 0)
        goto wrong;
    if (bad_state)
        goto wrong;
    return;
wrong:
    total->outcome = LOOKUP_BAD;
    store_report_bad(store_link_report(link), "head, base or state of an unknown format",
                     total->article, total->article_bytes);
}

/* NULL where no article has one: the shard then has no such key. */
static const redisReply *element(const redisReply *list, size_t at)
{
    return at < list->elements ? list->element[at] : NULL;
}

static void on_part(void *user, const redisReply *data)
{
    struct part *part = user;
    struct lookup *lookup = part->lookup;
    struct store_link *link = lookup->link;
    static const char why[] = "a reply without heads, bases and states";
    size_t n = 0, at = 0;
    redisReply *const *answer = query_answers(link, part->shard, data, LOOKUP_KEYS, why);
    for (size_t i = 0; i < lookup->n; i++)
        n += lookup->total[i].shard == part->shard;
    bool good = answer != NULL && reply_is_array(answer[0], n);
    for (int k = 1; k < LOOKUP_KEYS; k++)
        good = good && (reply_is_array(answer[k], n) || reply_is_array(answer[k], 0));
    if (answer != NULL && !good)
        store_link_refuse(link, part->shard, answer[0], why);
    for (size_t i = 0; i < lookup->n && good; i++) {
        if (lookup->total[i].shard != part->shard)
            continue;
        read_total(link, &lookup->total[i], answer[0]->element[at], element(answer[1], at),
                   element(answer[2], at));
        at++;
    }
    free(part);
    if (--lookup->pending == 0)
        lookup_finish(lookup);
}

/* Read it all in one step: between two commands a count may move from the head to the base, or a
 * state may change to hide what was already read. */
static int send_part(struct lookup *lookup, uint32_t shard)
{
    static const char *const names[LOOKUP_KEYS] = {"heads", "base", "states"};
    struct store_link *link = lookup->link;
    char key[LOOKUP_KEYS][REDIS_KEY_BYTES];
    struct query query;
    int n = 0;
    struct part *part = malloc(sizeof *part);
    if (part == NULL || !store_link_shard_ready(link, shard)) {
        free(part);
        return -1;
    }
    *part = (struct part){.lookup = lookup, .shard = shard};
    for (size_t i = 0; i < lookup->n; i++)
        n += lookup->total[i].shard == shard;
    for (int k = 0; k < LOOKUP_KEYS; k++)
        store_link_key(link, key[k], shard, names[k]);
    query_init(&query, link, shard, key[0]);
    query_command(&query, n + 2);
    query_text(&query, "HMGET");
    query_text(&query, key[0]);
    for (size_t i = 0; i < lookup->n; i++)
        if (lookup->total[i].shard == shard)
            query_word(&query, lookup->total[i].article, lookup->total[i].article_bytes);
    for (int k = 1; k < LOOKUP_KEYS; k++)
        query_again(&query, key[k]);
    if (attempt_send(&query, on_part, part) != 0) {
        free(part);
        return -1;
    }
    lookup->pending++;
    return 0;
}

static struct lookup *make_lookup(struct store_link *link, const struct lookup_article *articles,
                                  size_t n)
{
    size_t text_bytes = 1, used = 0;
    for (size_t i = 0; i < n; i++)
        text_bytes += articles[i].bytes;
    struct lookup *lookup = calloc(1, sizeof *lookup + n * sizeof lookup->total[0]);
    char *text = malloc(text_bytes);
    if (lookup == NULL || text == NULL) {
        free(lookup);
        free(text);
        return NULL;
    }
    lookup->link = link;
    lookup->n = n;
    lookup->text = text;
    for (size_t i = 0; i < n; i++) {
        memcpy(text + used, articles[i].id, articles[i].bytes);
        lookup->total[i].outcome = LOOKUP_AWAY;
        lookup->total[i].article = text + used;
        lookup->total[i].article_bytes = articles[i].bytes;
        lookup->total[i].shard =
            article_shard(articles[i].id, articles[i].bytes, store_link_shards(link));
        used += articles[i].bytes;
    }
    return lookup;
}

struct lookup *lookup_begin(struct store_link *link, const struct lookup_article *articles,
                            size_t n, lookup_cb callback, void *user)
{
    if (!store_link_ready(link) || n == 0 || n > LOOKUP_ARTICLES_MAX)
        return NULL;
    struct lookup *lookup = make_lookup(link, articles, n);
    if (lookup == NULL)
        return NULL;
    lookup->callback = callback;
    lookup->user = user;
    uint64_t seen = 0; /* a bit a shard */
    for (size_t i = 0; i < n; i++) {
        uint32_t shard = lookup->total[i].shard;
        if (seen & UINT64_C(1) << shard)
            continue;
        seen |= UINT64_C(1) << shard;
        (void)send_part(lookup, shard); /* else its articles are away */
    }
    if (lookup->pending == 0) { /* nothing was sent */
        free(lookup->text);
        free(lookup);
        return NULL;
    }
    store_link_counters(link)->lookups++;
    return lookup;
}

const struct lookup_total *lookup_so_far(const struct lookup *lookup)
{
    return lookup->total;
}

int lookup_totals(struct store_link *link, const struct lookup_article *articles, size_t n,
                  lookup_cb callback, void *user)
{
    return lookup_begin(link, articles, n, callback, user) != NULL ? 0 : -1;
}

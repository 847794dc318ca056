/* Pages through a shard's states with HSCAN: a hash may hold too many for one reply. */
#include "stored_states.h"

#include "query.h"
#include "reply.h"

#include "core/article.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_COUNT "500" /* states, about */

struct page {
    struct store_link *link;
    uint32_t shard;
    stored_states_cb callback;
    void *user;
};

/* Reads the pairs of a page into `out` and `state`, of as many. Returns how many are of articles.
 */
static size_t read_states(struct store_link *link, const redisReply *pairs,
                          struct stored_states_entry *out, struct article_state *state)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
        const redisReply *article = pairs->element[i], *stored = pairs->element[i + 1];
        if (!reply_is_string(article) || !reply_is_string(stored) ||
            !article_valid(article->str, (size_t)article->len)) {
            store_report_bad(store_link_report(link), "a state of no article", "", 0);
            continue;
        }
        bool good = article_state_parse(&state[n], article->str, (size_t)article->len, stored->str,
                                        (size_t)stored->len) == 0 &&
                    state[n].version > 0;
        if (!good)
            store_report_bad(store_link_report(link), "state of an unknown format", article->str,
                             (size_t)article->len);
        out[n] = (struct stored_states_entry){.article = article->str,
                                              .article_bytes = (size_t)article->len,
                                              .state = good ? &state[n] : NULL};
        n++;
    }
    return n;
}

static void on_page(void *user, const redisReply *data)
{
    struct page *page = user;
    struct store_link *link = page->link;
    static const char why[] = "a reply without states";
    struct stored_states_entry *states = NULL;
    struct article_state *state = NULL;
    const char *cursor = NULL;
    size_t n = 0;
    redisReply *const *answer = query_answers(link, page->shard, data, 1, why);
    const redisReply *reply = answer != NULL ? answer[0] : NULL;
    if (reply != NULL && reply_is_array(reply, 2) && reply_is_string(reply->element[0]) &&
        reply->element[1]->type == REDIS_REPLY_ARRAY) {
        size_t pairs = reply->element[1]->elements / 2;
        states = calloc(pairs + 1, sizeof *states);
        state = calloc(pairs + 1, sizeof *state);
        if (states != NULL && state != NULL) {
            n = read_states(link, reply->element[1], states, state);
            cursor = reply->element[0]->str;
        }
    } else {
        store_link_refuse(link, page->shard, reply, why);
    }
    page->callback(page->user, page->shard, states, n, cursor);
    free(states);
    free(state);
    free(page);
}

int stored_states_page(struct store_link *link, uint32_t shard, const char *cursor,
                       stored_states_cb callback, void *user)
{
    char key[REDIS_KEY_BYTES];
    struct query query;
    if (!store_link_shard_ready(link, shard))
        return -1;
    struct page *page = malloc(sizeof *page);
    if (page == NULL)
        return -1;
    *page = (struct page){.link = link, .shard = shard, .callback = callback, .user = user};
    store_link_key(link, key, shard, "states");
    const char *words[] = {"HSCAN", key, cursor, "COUNT", PAGE_COUNT};
    query_init(&query, link, shard, key);
    query_command(&query, 5);
    for (int i = 0; i < 5; i++)
        query_text(&query, words[i]);
    if (query_send(&query, on_page, page) != 0) {
        free(page);
        return -1;
    }
    return 0;
}

/* A request's way to Redis and back. Its lookups count for its address until the answer
 * arrives (visitors.h). */
#include "http_totals.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "totals_answer.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 400 /* with a shard that does not answer, where another has */

struct http_totals_question *http_totals_question_new(struct evhttp_request *request,
                                                      const struct route *route)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    bool asks = (route->kind == ROUTE_TOTAL || route->kind == ROUTE_TOTALS) &&
                (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD);
    size_t n = asks ? route->n : 0;
    struct http_totals_question *question =
        malloc(sizeof *question + n * sizeof question->article[0]);
    if (question == NULL)
        return NULL;
    *question = (struct http_totals_question){
        .request = request, .list = route->kind == ROUTE_TOTALS, .n = n};
    for (size_t i = 0; i < n; i++) {
        question->article[i] = route->article[i];
        question->turn.articles += !route->article[i].bad;
    }
    return question;
}

static void answer_totals(const struct http_totals_question *question,
                          const struct lookup_total *found)
{
    struct http_totals *totals = question->totals;
    char etag[TOTALS_ANSWER_ETAG_BYTES];
    struct totals_answer said = {.asked = question->article,
                                 .asked_n = question->n,
                                 .list = question->list,
                                 .found = found,
                                 .kinds = store_link_kinds(totals->link),
                                 .store = store_link_id(totals->link),
                                 .unix_ms = clock_unix_ms()};
    char *text = totals_answer_json(&said);
    if (text == NULL) {
        http_answers_away(totals->answers, question->request, "no memory");
        return;
    }
    totals_answer_etag(&said, etag);
    http_answers_tagged(totals->answers, question->request, etag, "public, max-age=1",
                        HTTP_ANSWERS_JSON, text, strlen(text));
    cJSON_free(text);
}

static bool all_away(const struct lookup_total *found, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (found[i].outcome != LOOKUP_AWAY)
            return false;
    return true;
}

static void answer_found(const struct http_totals_question *question,
                         const struct lookup_total *found)
{
    struct http_totals *totals = question->totals;
    size_t n = question->turn.articles;
    for (size_t i = 0; i < n; i++)
        if (!total_json_kinds_known(&found[i].total, store_link_kinds(totals->link)))
            store_link_reread(totals->link); /* known in a second, as long as this is cached */
    if (all_away(found, n))
        http_answers_away(totals->answers, question->request, "redis does not answer");
    else if (!question->list && found[0].outcome == LOOKUP_BAD)
        http_answers_error(totals->answers, question->request, 500, "Internal Server Error",
                           "what is stored about the article is damaged");
    else
        answer_totals(question, found);
}

static void question_free(struct http_totals_question *question)
{
    events_free(question->patience);
    free(question);
}

/* The commands under way keep their place among HTTP_MAX_LOOKUPS, even if nobody waits for them. */
static void on_totals(void *user, const struct lookup_total *found, size_t n)
{
    struct http_totals_question *question = user;
    (void)n;
    question->totals->lookups--;
    if (!question->answered) {
        http_connections_looked_up(question->totals->connections, &question->turn);
        answer_found(question, found);
    }
    question_free(question);
}

/* Answers a list without the shards that have not answered. Where none has, it waits on. */
static void on_patience(evutil_socket_t fd, short what, void *user)
{
    struct http_totals_question *question = user;
    const struct lookup_total *found = lookup_so_far(question->lookup);
    (void)fd;
    (void)what;
    if (all_away(found, question->turn.articles)) {
        events_arm(question->patience, PATIENCE_MS);
        return;
    }
    question->answered = true;
    http_connections_looked_up(question->totals->connections, &question->turn);
    answer_found(question, found);
}

/* Returns 0, and answers later, or -1: it could not be asked. */
static int look_up(struct http_totals_question *question)
{
    struct http_totals *totals = question->totals;
    struct lookup_article articles[ROUTE_MAX_ARTICLES];
    size_t n = 0;
    for (size_t i = 0; i < question->n; i++)
        if (!question->article[i].bad)
            articles[n++] = (struct lookup_article){.id = question->article[i].id,
                                                    .bytes = question->article[i].bytes};
    if (n > 1)
        question->patience = evtimer_new(
            evhttp_connection_get_base(evhttp_request_get_connection(question->request)),
            on_patience, question);
    question->lookup = lookup_begin(totals->link, articles, n, on_totals, question);
    if (question->lookup == NULL)
        return -1;
    totals->lookups++;
    if (question->patience != NULL)
        events_arm(question->patience, PATIENCE_MS);
    return 0;
}

void http_totals_ask(struct http_totals *totals, struct http_totals_question *question)
{
    bool ready = store_link_ready(totals->link);
    question->totals = totals;
    if (ready && question->turn.articles == 0) {
        answer_totals(question, NULL);
    } else if (ready && totals->lookups >= HTTP_MAX_LOOKUPS) {
        totals->refused++;
        http_answers_away(totals->answers, question->request, "too many requests wait for redis");
    } else if (ready && look_up(question) == 0) {
        return;
    } else {
        http_answers_away(totals->answers, question->request, "redis is away");
    }
    http_connections_looked_up(totals->connections, &question->turn);
    question_free(question);
}

/* Two questions go out together: how well the server is placed to know (CLUSTER INFO, or SENTINEL
 * MASTER), and who owns what. Answers come in order, so the second completes the question. */
#include "redis/redis_survey.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCOUT_MS 1000 /* for one that is not up, or does not answer */
#define STALE_MS 1500 /* without a believed answer, scouts go out */
#define TURN_MS 900   /* at least, between two Sentinels */
#define HURRY_MS 200  /* the same, while the primary is away */

struct scout {
    struct redis_survey *survey;
    struct redis_link *link; /* NULL: none */
    struct redis_question question;
    uint64_t since_ms;
    bool sent; /* it was up, and was asked */
};

struct redis_survey {
    struct redis_survey_config config;
    struct redis_url url;
    struct event_base *base;
    enum redis_survey_kind kind;
    unsigned slots[REDIS_PLACES];
    struct redis_map map, read; /* believed; and as last read */
    struct redis_belief belief;
    uint64_t began_ms, turn_ms;
    unsigned turn; /* of the next scout's address, or of the next Sentinel */
    struct scout scouts[REDIS_URL_SEEDS_MAX]; /* Sentinel i is in scouts[i] */
    struct error why;
};

/* --- answers --- */

static void note_view(void *user, const redisReply *reply)
{
    struct redis_question *question = user;
    question->awaited--;
    if (reply != NULL)
        redis_map_read_view(&question->view, reply);
}

static void take(struct redis_survey *survey, enum redis_survey_kind kind)
{
    bool differs = survey->kind != kind;
    if (differs && kind == REDIS_SURVEY_CLUSTER)
        log_line(LOG_LEVEL_INFO, "redis is a cluster", "owners=%u servers=%u", survey->read.n,
                 survey->read.n_known);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        differs |= redis_map_differs(&survey->map, &survey->read, place);
    survey->kind = kind;
    redis_map_copy(&survey->map, &survey->read);
    survey->why.text[0] = '\0';
    if (differs)
        survey->config.on_map(survey->config.user);
}

/* An answer that says that there is no cluster. A server that a scout asks may be a replica, so it
 * does not become the owner. A server whose link is up has said that it is a primary, so it owns
 * everything. */
static void take_one(struct redis_survey *survey, struct redis_question *question)
{
    question->view.sound = survey->kind != REDIS_SURVEY_CLUSTER;
    if (!redis_map_believe(&survey->belief, &question->view, clock_monotonic_ms()))
        return;
    if (question->scouting && survey->kind == REDIS_SURVEY_ONE)
        return;
    if (question->scouting)
        redis_map_none(&survey->read);
    else
        redis_map_fix(&survey->read, &question->at);
    take(survey, REDIS_SURVEY_ONE);
}

static void on_slots(void *user, const redisReply *reply)
{
    struct redis_question *question = user;
    struct redis_survey *survey = question->survey;
    struct error why;
    question->awaited--;
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        if (strncmp(reply->str, "ERR ", 4) == 0 || strncmp(reply->str, "NOPERM", 6) == 0)
            take_one(survey, question); /* it is not a cluster, or this user may not ask */
        return;
    }
    if (redis_map_read_slots(&survey->read, reply, survey->slots, &question->at, &why) != 0) {
        survey->why = why;
        return;
    }
    if (redis_map_believe(&survey->belief, &question->view, clock_monotonic_ms()))
        take(survey, REDIS_SURVEY_CLUSTER);
}

static void on_primary(void *user, const redisReply *reply)
{
    struct redis_question *question = user;
    struct redis_survey *survey = question->survey;
    struct error why;
    question->awaited--;
    if (reply == NULL)
        return;
    if (redis_map_read_sentinel(&survey->read, reply, &why) != 0)
        error_set(&survey->why, "Sentinel %.80s:%d: %.200s", question->at.host, question->at.port,
                  why.text);
    else if (redis_map_believe(&survey->belief, &question->view, clock_monotonic_ms()))
        take(survey, REDIS_SURVEY_SENTINEL);
}

/* --- questions --- */

static int survey_send(struct redis_link *link, redis_link_cb *fn, struct redis_question *question,
                       int argc, const char *first, const char *second, const char *third)
{
    const char *words[] = {first, second, third};
    size_t bytes[3];
    for (int i = 0; i < argc; i++)
        bytes[i] = strlen(words[i]);
    if (redis_link_send(link, fn, question, argc, words, bytes) != 0)
        return -1;
    question->awaited++;
    return 0;
}

void redis_survey_ask(struct redis_survey *survey, struct redis_question *question,
                      struct redis_link *link, const struct redis_address *at)
{
    const char *name = survey->url.name;
    if (question->awaited > 0 || !redis_link_up(link))
        return;
    question->survey = survey;
    question->at = *at;
    question->since_ms = clock_monotonic_ms();
    question->view = (struct redis_view){.sound = true};
    if (survey->kind == REDIS_SURVEY_SENTINEL && !question->scouting) {
        survey_send(link, note_view, question, 1, "PING", NULL, NULL);
    } else if (survey->kind == REDIS_SURVEY_SENTINEL) {
        if (survey_send(link, note_view, question, 3, "SENTINEL", "MASTER", name) == 0)
            survey_send(link, on_primary, question, 3, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name);
    } else if (survey_send(link, note_view, question, 2, "CLUSTER", "INFO", NULL) == 0) {
        survey_send(link, on_slots, question, 2, "CLUSTER", "SLOTS", NULL);
    }
}

uint64_t redis_survey_waits_ms(const struct redis_question *question)
{
    return question->awaited > 0 ? clock_monotonic_ms() - question->since_ms : 0;
}

/* --- scouts --- */

static void on_scout_up(void *user)
{
    struct scout *scout = user;
    scout->since_ms = clock_monotonic_ms();
    scout->sent = true;
    redis_survey_ask(scout->survey, &scout->question, scout->link, &scout->question.at);
}

static void scout_end(struct scout *scout)
{
    redis_link_free(scout->link);
    scout->link = NULL;
    scout->question.awaited = 0;
    scout->sent = false;
}

static void scout_begin(struct redis_survey *survey, struct scout *scout,
                        const struct redis_address *at)
{
    struct redis_link_config link = *survey->config.link;
    scout->survey = survey;
    scout->since_ms = clock_monotonic_ms();
    scout->question = (struct redis_question){.at = *at, .scouting = true};
    link.host = scout->question.at.host;
    link.port = at->port;
    link.any_role = true;
    link.on_message = NULL;
    link.on_up = on_scout_up;
    link.on_down = NULL;
    link.user = scout;
    if (survey->kind == REDIS_SURVEY_SENTINEL) { /* has its own users, and no databases */
        link.username = link.password = NULL;
        link.db = 0;
    }
    scout->link = redis_link_new(survey->base, &link);
}

static void seed_address(struct redis_address *at, const struct redis_url_seed *seed)
{
    if (!redis_map_address(at, seed->host, seed->port))
        memset(at, 0, sizeof *at);
}

/* Seeds, and servers that a map named. */
static void next_address(struct redis_survey *survey, struct redis_address *at)
{
    unsigned n = survey->url.seeds_n + survey->map.n_known, turn = survey->turn++ % n;
    if (turn < survey->url.seeds_n)
        seed_address(at, &survey->url.seeds[turn]);
    else
        *at = survey->map.known[turn - survey->url.seeds_n];
}

static bool has_failed(const struct scout *scout, uint64_t now_ms)
{
    return now_ms - scout->since_ms >= SCOUT_MS || (scout->sent && scout->question.awaited == 0);
}

/* With several seeds they are the first to be asked: any of them may be dead, or a replica. With
 * one, they go out only where its owner's link, which wants a primary, has got nowhere. */
static bool wants_scouts(const struct redis_survey *survey, bool content)
{
    uint64_t since_ms = survey->belief.any ? survey->belief.at_ms : survey->began_ms;
    if (survey->kind == REDIS_SURVEY_ONE)
        return !content && survey->url.seeds_n > 1;
    if (survey->kind == REDIS_SURVEY_UNKNOWN && survey->url.seeds_n > 1)
        return true;
    return clock_monotonic_ms() - since_ms >= STALE_MS;
}

static bool tick_scouts(struct redis_survey *survey, bool content)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool wanted = wants_scouts(survey, content);
    unsigned servers = survey->url.seeds_n + survey->map.n_known;
    unsigned n = servers < REDIS_URL_SEEDS_MAX ? servers : REDIS_URL_SEEDS_MAX;
    for (unsigned i = 0; i < REDIS_URL_SEEDS_MAX; i++) {
        struct scout *scout = &survey->scouts[i];
        if (scout->link != NULL && (!wanted || i >= n || has_failed(scout, now_ms)))
            scout_end(scout);
        if (wanted && i < n && scout->link == NULL) {
            struct redis_address at;
            next_address(survey, &at);
            scout_begin(survey, scout, &at);
        }
    }
    return wanted;
}

static bool tick_sentinels(struct redis_survey *survey, bool content)
{
    uint64_t now_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < survey->url.seeds_n; i++)
        if (survey->scouts[i].link == NULL) {
            struct redis_address at;
            seed_address(&at, &survey->url.seeds[i]);
            scout_begin(survey, &survey->scouts[i], &at);
        }
    if (now_ms - survey->turn_ms < (content ? TURN_MS : HURRY_MS))
        return false;
    for (unsigned i = 0; i < survey->url.seeds_n; i++) {
        struct scout *scout = &survey->scouts[survey->turn++ % survey->url.seeds_n];
        if (scout->link == NULL || !redis_link_up(scout->link) || scout->question.awaited > 0)
            continue;
        redis_survey_ask(survey, &scout->question, scout->link, &scout->question.at);
        survey->turn_ms = now_ms;
        break;
    }
    return false;
}

bool redis_survey_tick(struct redis_survey *survey, bool content)
{
    return survey->kind == REDIS_SURVEY_SENTINEL ? tick_sentinels(survey, content)
                                                 : tick_scouts(survey, content);
}

/* --- the survey --- */

struct redis_survey *redis_survey_new(struct event_base *base,
                                      const struct redis_survey_config *config)
{
    struct redis_survey *survey = calloc(1, sizeof *survey);
    if (survey == NULL)
        return NULL;
    survey->config = *config;
    survey->url = *config->url;
    survey->base = base;
    survey->began_ms = clock_monotonic_ms();
    if (survey->url.kind == REDIS_URL_SENTINEL)
        survey->kind = REDIS_SURVEY_SENTINEL;
    redis_map_slots(survey->slots,
                    config->link->prefix != NULL ? config->link->prefix : REDIS_KEY_PREFIX);
    redis_map_none(&survey->map);
    return survey;
}

void redis_survey_free(struct redis_survey *survey)
{
    if (survey == NULL)
        return;
    for (unsigned i = 0; i < REDIS_URL_SEEDS_MAX; i++)
        redis_link_free(survey->scouts[i].link);
    free(survey);
}

enum redis_survey_kind redis_survey_kind(const struct redis_survey *survey)
{
    return survey->kind;
}

const struct redis_map *redis_survey_map(const struct redis_survey *survey)
{
    return &survey->map;
}

const char *redis_survey_why(const struct redis_survey *survey)
{
    if (survey->why.text[0] != '\0')
        return survey->why.text;
    if (survey->kind == REDIS_SURVEY_SENTINEL && !survey->belief.any)
        for (unsigned i = 0; i < survey->url.seeds_n; i++)
            if (survey->scouts[i].link != NULL && !redis_link_up(survey->scouts[i].link))
                return redis_link_why(survey->scouts[i].link);
    return survey->kind == REDIS_SURVEY_CLUSTER ? "no node of the cluster owns it"
                                                : "it is not known yet who owns it";
}

int redis_survey_set_password(struct redis_survey *survey, const char *password)
{
    int result = 0;
    if (survey->kind == REDIS_SURVEY_SENTINEL)
        return 0;
    for (unsigned i = 0; i < REDIS_URL_SEEDS_MAX; i++)
        if (survey->scouts[i].link != NULL &&
            redis_link_set_password(survey->scouts[i].link, password) < 0)
            result = -1;
    return result;
}

/* tally-demo: simulated readers at a human pace, so that the dashboard has something to show.
 *
 * A reader comes, reacts to a few articles with a pause before each, now and then changes or takes
 * back the last reaction, leaves, and a new one comes in its place. Which article is chosen follows
 * Zipf's law; every few seconds another article becomes news, and each has its own mood. */
#include "core/option.h"
#include "daemon/log.h"
#include "daemon/mqtt_link.h"

#include <event2/event.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define ARTICLES_MAX 1000
#define ARTICLE_MAX_BYTES 200
#define PREFIX_MAX_BYTES 64
#define PAUSE_LEAST_MS 1000 /* no reader reacts faster, so readers bound the rate */
#define VISIT_ARTICLES 12   /* at most, before a reader leaves */
#define TREND_MS 8000
#define CHANGE_PERCENT 8
#define RETRACT_PERCENT 4
#define SETTLE_MS 2000 /* asked again, where the reader is not connected */

static const char *const KINDS[] = {"like", "dislike", "love", "funny", "angry", "sad", "wow"};
#define KINDS_N (sizeof KINDS / sizeof KINDS[0])

static const char *const SECTIONS[] = {"world",   "politics", "economy",
                                       "science", "sport",    "culture"};
#define SECTIONS_N (sizeof SECTIONS / sizeof SECTIONS[0])

static const char *const STORIES[] = {
    "migrant-caravan", "harbour-strike",  "election-night",   "rate-decision", "comet-seen",
    "cup-final",       "museum-reopens",  "storm-warning",    "budget-vote",   "housing-prices",
    "whale-song",      "marathon-record", "opera-premiere",   "border-talks",  "coalition-split",
    "bread-price",     "vaccine-trial",   "transfer-window",  "film-festival", "river-flood",
    "court-ruling",    "night-trains",    "deep-sea-station", "stadium-roof",  "library-of-smell",
};
#define STORIES_N (sizeof STORIES / sizeof STORIES[0])

struct settings {
    char mqtt_host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t mqtt_port;
    char topic_prefix[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t readers;
    uint64_t articles;
    uint64_t pause_ms;
    char log_level[OPTION_TEXT_MAX_BYTES + 1];
};

struct article {
    char id[ARTICLE_MAX_BYTES + 1];
    unsigned mood[KINDS_N]; /* the weight of each kind */
};

struct demo;

struct reader {
    struct demo *demo;
    struct mqtt_link *link; /* NULL between two visits */
    struct event *next;     /* the next thing that this reader does */
    int last;               /* article of the last reaction, -1 none */
    unsigned left;          /* articles until the visit ends */
};

struct demo {
    const struct settings *settings;
    struct event_base *base;
    struct event *trend;
    struct event *ends[2]; /* SIGTERM, SIGINT */
    uint64_t random;
    size_t articles_n;
    struct article article[ARTICLES_MAX];
    size_t rank[ARTICLES_MAX];       /* rank → article, the first is the hottest */
    double up_to_rank[ARTICLES_MAX]; /* sum of the weights of ranks 0 to i */
    struct reader *readers;
};

static const struct option OPTIONS[] = {
    {"mqtt_host", OPTION_TEXT, offsetof(struct settings, mqtt_host), 1, OPTION_TEXT_MAX_BYTES,
     "127.0.0.1", "a host name or address", "broker"},
    {"mqtt_port", OPTION_NUMBER, offsetof(struct settings, mqtt_port), 1, 65535, "1883",
     "1 to 65535", "port of the broker"},
    {"topic_prefix", OPTION_TEXT, offsetof(struct settings, topic_prefix), 0, PREFIX_MAX_BYTES, "",
     "text before every topic, such as news/", "prefix of all topics"},
    {"readers", OPTION_NUMBER, offsetof(struct settings, readers), 1, 2000, "120", "1 to 2000",
     "readers at a time"},
    {"articles", OPTION_NUMBER, offsetof(struct settings, articles), 1, ARTICLES_MAX, "50",
     "1 to 1000", "articles they react to"},
    {"pause_ms", OPTION_NUMBER, offsetof(struct settings, pause_ms), PAUSE_LEAST_MS, 3600000,
     "12000", "1000 to 3600000", "mean pause of a reader between two reactions"},
    {"log_level", OPTION_TEXT, offsetof(struct settings, log_level), 1, OPTION_TEXT_MAX_BYTES,
     "error", "error, warning, info or debug",
     "which lines are logged; a warning comes from each reader"},
};
#define OPTIONS_N (sizeof OPTIONS / sizeof OPTIONS[0])

/* ---- chance ---- */

/* splitmix64, by Sebastiano Vigna: good enough for a show, and short. */
static uint64_t random_next(struct demo *demo)
{
    uint64_t z = demo->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t random_below(struct demo *demo, uint64_t n)
{
    return random_next(demo) % n;
}

/* Above 0, at most 1. */
static double random_unit(struct demo *demo)
{
    return ((double)(random_next(demo) >> 11) + 1) / 9007199254740992.0;
}

/* People's pauses: exponential, but nobody is faster than PAUSE_LEAST_MS or waits five times the
 * mean. */
static unsigned pause_ms(struct demo *demo)
{
    double mean = (double)demo->settings->pause_ms;
    double pause = -log(random_unit(demo)) * mean;
    if (pause > 5 * mean)
        pause = 5 * mean;
    return pause < PAUSE_LEAST_MS ? PAUSE_LEAST_MS : (unsigned)pause;
}

/* ---- articles ---- */

static void set_mood(struct demo *demo, struct article *article)
{
    for (size_t i = 0; i < KINDS_N; i++)
        article->mood[i] = 1 + (unsigned)random_below(demo, 4);
    article->mood[random_below(demo, KINDS_N)] += 24;
    article->mood[random_below(demo, KINDS_N)] += 10;
}

static void init_articles(struct demo *demo)
{
    demo->articles_n = demo->settings->articles;
    double sum = 0;
    for (size_t i = 0; i < demo->articles_n; i++) {
        size_t edition = i / STORIES_N;
        struct article *article = &demo->article[i];
        int bytes = snprintf(article->id, sizeof article->id, "%s/%s",
                             SECTIONS[(i + edition) % SECTIONS_N], STORIES[i % STORIES_N]);
        if (edition > 0)
            snprintf(article->id + bytes, sizeof article->id - (size_t)bytes, "-%zu", edition + 1);
        set_mood(demo, article);
        demo->rank[i] = i;
        demo->up_to_rank[i] = sum += 1.0 / (double)(i + 1);
    }
}

static size_t choose_article(struct demo *demo)
{
    double point = random_unit(demo) * demo->up_to_rank[demo->articles_n - 1];
    size_t rank = 0;
    while (rank + 1 < demo->articles_n && demo->up_to_rank[rank] < point)
        rank++;
    return demo->rank[rank];
}

static size_t choose_kind(struct demo *demo, const struct article *article)
{
    unsigned sum = 0;
    for (size_t i = 0; i < KINDS_N; i++)
        sum += article->mood[i];
    unsigned point = (unsigned)random_below(demo, sum);
    size_t kind = 0;
    while (point >= article->mood[kind])
        point -= article->mood[kind++];
    return kind;
}

/* An article becomes news: it comes up near the top, in a new mood, and what it passes sinks by
 * one. */
static void trend_cb(evutil_socket_t fd, short what, void *user)
{
    struct demo *demo = user;
    (void)fd;
    (void)what;
    size_t from = random_below(demo, demo->articles_n);
    size_t to = random_below(demo, from / 4 + 1);
    size_t article = demo->rank[from];
    memmove(&demo->rank[to + 1], &demo->rank[to], (from - to) * sizeof demo->rank[0]);
    demo->rank[to] = article;
    set_mood(demo, &demo->article[article]);
    log_line(LOG_LEVEL_DEBUG, "an article becomes news", "article=%s rank=%zu",
             demo->article[article].id, to);
}

/* ---- readers ---- */

static void do_next_in(struct reader *reader, unsigned ms)
{
    const struct timeval pause = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
    event_add(reader->next, &pause);
}

static void come(struct reader *reader)
{
    struct demo *demo = reader->demo;
    char name[40], id[48];
    /* As the widget's: random, at least 16 characters, one for each visit. */
    snprintf(name, sizeof name, "%016llx%016llx", (unsigned long long)random_next(demo),
             (unsigned long long)random_next(demo));
    snprintf(id, sizeof id, "demo-%.16s", name);
    const struct mqtt_link_config config = {
        .host = demo->settings->mqtt_host,
        .port = (int)demo->settings->mqtt_port,
        .client_id = id,
        .username = name,
    };
    reader->link = mqtt_link_new(demo->base, &config);
    reader->last = -1;
    reader->left = 1 + (unsigned)random_below(demo, VISIT_ARTICLES);
    if (reader->link == NULL)
        log_line(LOG_LEVEL_ERROR, "no memory for a reader", NULL);
}

static void demo_leave(struct reader *reader)
{
    mqtt_link_free(reader->link);
    reader->link = NULL;
}

static void demo_react(struct reader *reader)
{
    struct demo *demo = reader->demo;
    unsigned percent = (unsigned)random_below(demo, 100);
    bool again = reader->last >= 0 && percent < CHANGE_PERCENT + RETRACT_PERCENT;
    size_t chosen = again ? (size_t)reader->last : choose_article(demo);
    const struct article *article = &demo->article[chosen];
    const char *kind =
        again && percent < RETRACT_PERCENT ? "none" : KINDS[choose_kind(demo, article)];
    char topic[OPTION_TEXT_MAX_BYTES + ARTICLE_MAX_BYTES + 16];
    snprintf(topic, sizeof topic, "%sreactions/%s", demo->settings->topic_prefix, article->id);
    if (mqtt_link_publish(reader->link, topic, kind, strlen(kind), 1, false, NULL, NULL) != 0)
        return;
    reader->last = (int)chosen;
    reader->left--;
}

static void next_cb(evutil_socket_t fd, short what, void *user)
{
    struct reader *reader = user;
    (void)fd;
    (void)what;
    if (reader->link != NULL && !mqtt_link_up(reader->link)) {
        do_next_in(reader, SETTLE_MS);
        return;
    }
    if (reader->link == NULL)
        come(reader);
    else if (reader->left == 0)
        demo_leave(reader);
    else
        demo_react(reader);
    do_next_in(reader, pause_ms(reader->demo));
}

/* ---- the whole ---- */

static void end_cb(evutil_socket_t fd, short what, void *user)
{
    (void)fd;
    (void)what;
    event_base_loopbreak(user);
}

static void demo_free(struct demo *demo)
{
    if (demo == NULL)
        return;
    for (size_t i = 0; demo->readers != NULL && i < demo->settings->readers; i++) {
        demo_leave(&demo->readers[i]);
        if (demo->readers[i].next != NULL)
            event_free(demo->readers[i].next);
    }
    free(demo->readers);
    for (int i = 0; i < 2; i++) {
        if (demo->ends[i] != NULL)
            event_free(demo->ends[i]);
    }
    if (demo->trend != NULL)
        event_free(demo->trend);
    if (demo->base != NULL)
        event_base_free(demo->base);
    free(demo);
}

/* Readers come one after another, over about one pause. */
static int init_readers(struct demo *demo)
{
    size_t n = demo->settings->readers;
    demo->readers = calloc(n, sizeof *demo->readers);
    if (demo->readers == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct reader *reader = &demo->readers[i];
        reader->demo = demo;
        reader->next = evtimer_new(demo->base, next_cb, reader);
        if (reader->next == NULL)
            return -1;
        do_next_in(reader, (unsigned)random_below(demo, demo->settings->pause_ms));
    }
    return 0;
}

static struct demo *demo_new(const struct settings *settings)
{
    struct demo *demo = calloc(1, sizeof *demo);
    if (demo == NULL)
        return NULL;
    demo->settings = settings;
    if (getrandom(&demo->random, sizeof demo->random, 0) != (ssize_t)sizeof demo->random)
        goto failed;
    init_articles(demo);
    demo->base = event_base_new();
    if (demo->base == NULL)
        goto failed;
    demo->trend = event_new(demo->base, -1, EV_PERSIST, trend_cb, demo);
    demo->ends[0] = evsignal_new(demo->base, SIGTERM, end_cb, demo->base);
    demo->ends[1] = evsignal_new(demo->base, SIGINT, end_cb, demo->base);
    const struct timeval trend = {.tv_sec = TREND_MS / 1000, .tv_usec = TREND_MS % 1000 * 1000};
    if (demo->trend == NULL || demo->ends[0] == NULL || demo->ends[1] == NULL ||
        event_add(demo->trend, &trend) != 0 || event_add(demo->ends[0], NULL) != 0 ||
        event_add(demo->ends[1], NULL) != 0 || init_readers(demo) != 0)
        goto failed;
    return demo;
failed:
    demo_free(demo);
    return NULL;
}

static int log_level_of(const char *name)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(names[i], name) == 0)
            return i;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct settings settings;
    int help = 0;
    struct error error;
    int parsed = option_parse(OPTIONS, OPTIONS_N, &settings, argc, argv, &help, &error);
    int level = parsed == 0 ? log_level_of(settings.log_level) : 0;
    if (parsed == 1) {
        printf("tally-demo: simulated readers at a human pace\n");
        option_print(OPTIONS, OPTIONS_N, stdout);
        return 0;
    }
    if (parsed == 0 && level < 0)
        error_set(&error, "option log_level: %s is not error, warning, info or debug",
                  settings.log_level);
    if (parsed != 0 || level < 0) {
        fprintf(stderr, "tally-demo: %s\n", error.text);
        return 1;
    }
    log_init("tally-demo", (enum log_level)level);
    signal(SIGPIPE, SIG_IGN);
    struct demo *demo = demo_new(&settings);
    if (demo == NULL) {
        log_line(LOG_LEVEL_ERROR, "no memory", NULL);
        return 1;
    }
    log_line(LOG_LEVEL_INFO, "readers come", "readers=%llu articles=%llu port=%llu",
             (unsigned long long)settings.readers, (unsigned long long)settings.articles,
             (unsigned long long)settings.mqtt_port);
    event_base_dispatch(demo->base);
    demo_free(demo);
    log_line(LOG_LEVEL_INFO, "readers left", NULL);
    return 0;
}

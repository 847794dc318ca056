/* The state machine of the self-audit: pick an article, count it slice by slice, compare, report.
 */
#include "self_audit.h"

#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"

#include <cJSON.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE 500         /* registers a call: about 0.4 ms of Redis */
#define GAP_MS 5          /* between two calls, except in a pause */
#define TRIES 3           /* before a pause */
#define ONCE_MORE_MS 2000 /* after a difference; another edge's new kind is known by then */
#define PAUSE_MS 200
#define PAUSE_VOTERS_MAX 20000 /* about 20 ms */

enum phase { IDLE, PICKING, COUNTING, PAUSING, ENDING };

struct self_audit {
    struct self_audit_config config;
    struct event *next;  /* an article is due */
    struct event *again; /* a slice is due, after a gap */
    struct self_audit_counts counts;
    struct audit_count count;
    enum phase phase;
    uint32_t shard, empty; /* empty: shards without articles, seen in a row */
    uint64_t generation;   /* of the shard, when the article was picked */
    unsigned tries;
    bool paused;
    bool suspect; /* differences were found and must be confirmed */
    char whose[17];
};

/* --- the report --- */

/* Exact whole numbers: cJSON's own are doubles. */
static void self_audit_whole(cJSON *object, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    cJSON_AddRawToObject(object, name, text);
}

char *self_audit_write(const struct self_audit_counts *counts)
{
    cJSON *object = cJSON_CreateObject();
    self_audit_whole(object, "at_ms", (int64_t)counts->at_ms);
    cJSON_AddStringToObject(object, "article", counts->article);
    self_audit_whole(object, "audited", (int64_t)counts->audited);
    self_audit_whole(object, "differing", (int64_t)counts->differing);
    self_audit_whole(object, "skipped", (int64_t)counts->skipped);
    if (counts->last.at_ms == 0) {
        cJSON_AddNullToObject(object, "last_difference");
    } else {
        const struct audit_difference *difference = &counts->last.difference;
        cJSON *last = cJSON_AddObjectToObject(object, "last_difference");
        self_audit_whole(last, "at_ms", (int64_t)counts->last.at_ms);
        cJSON_AddStringToObject(last, "article", counts->last.article);
        cJSON_AddStringToObject(last, "link", audit_link_name(difference->link));
        cJSON_AddStringToObject(last, "what", difference->what);
        self_audit_whole(last, "expected", difference->expected);
        self_audit_whole(last, "found", difference->found);
    }
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

void self_audit_say(const struct self_audit *audit)
{
    if (audit->counts.at_ms == 0)
        return;
    char *json = self_audit_write(&audit->counts);
    if (json != NULL)
        audit->config.say(audit->config.user, json);
    free(json);
}

static void self_audit_note(struct self_audit *audit, const struct audit_differences *found)
{
    audit->counts.differing++;
    audit->counts.last.at_ms = clock_unix_ms();
    memcpy(audit->counts.last.article, audit->count.article, sizeof audit->counts.last.article);
    audit->counts.last.difference = found->of[0];
    for (size_t i = 0; i < found->n; i++)
        log_line(LOG_LEVEL_ERROR, "the audit found a difference",
                 "article=%s link=%s what=%s expected=%" PRId64 " found=%" PRId64,
                 audit->count.article, audit_link_name(found->of[i].link), found->of[i].what,
                 found->of[i].expected, found->of[i].found);
}

/* --- calls --- */

/* A count from before the shard moved to another server says nothing about that server's data. */
static int self_audit_ask(struct self_audit *audit, redis_link_cb *fn, enum phase phase, int argc,
                          const char **argv, const size_t *bytes)
{
    const bool same = audit->generation == session_generation(audit->config.session, audit->shard);
    audit->phase = phase;
    if (same && session_ready(audit->config.session, audit->shard) &&
        session_send(audit->config.session, audit->shard, fn, audit, argc, argv, bytes) == 0)
        return 0;
    audit->phase = IDLE;
    return -1;
}

static void on_pause(void *user, const redisReply *reply);

static void ask_pause(struct self_audit *audit, unsigned ms, enum phase phase)
{
    char text[12];
    snprintf(text, sizeof text, "%u", ms);
    const char *argv[] = {"EVAL", (const char *)pause_lua, "1", audit->count.key[3], audit->whose,
                          text};
    const size_t bytes[] = {
        4, (size_t)pause_lua_bytes, 1, strlen(argv[3]), strlen(argv[4]), strlen(text)};
    (void)self_audit_ask(audit, on_pause, phase, 6, argv, bytes);
}

static void on_count(void *user, const redisReply *answer);

static void ask_slice(struct self_audit *audit)
{
    const char *argv[2 + AUDIT_COUNT_ARGUMENTS] = {"EVAL", (const char *)count_lua};
    size_t bytes[2 + AUDIT_COUNT_ARGUMENTS] = {4, (size_t)count_lua_bytes};
    audit_count_arguments(&audit->count, argv + 2, bytes + 2);
    (void)self_audit_ask(audit, on_count, COUNTING, 2 + AUDIT_COUNT_ARGUMENTS, argv, bytes);
}

static void reset_count(struct self_audit *audit)
{
    char article[ARTICLE_MAX_BYTES];
    size_t bytes = audit->count.article_bytes;
    memcpy(article, audit->count.article, bytes);
    audit_count_begin_in(&audit->count, session_prefix(audit->config.session), article, bytes,
                         audit->shard, SLICE);
}

static void begin_count(struct self_audit *audit)
{
    reset_count(audit);
    ask_slice(audit);
}

static void on_again(evutil_socket_t fd, short what, void *user)
{
    struct self_audit *audit = user;
    (void)fd;
    (void)what;
    if (audit->phase == COUNTING)
        ask_slice(audit);
}

static void self_audit_pick(struct self_audit *audit);

/* --- a count's end --- */

static void self_audit_end(struct self_audit *audit)
{
    audit->phase = IDLE;
    audit->suspect = false;
    audit->counts.at_ms = clock_unix_ms();
    memcpy(audit->counts.article, audit->count.article, sizeof audit->counts.article);
    self_audit_say(audit);
    if (audit->paused)
        ask_pause(audit, 0, ENDING);
    audit->paused = false;
}

static void self_audit_judge(struct self_audit *audit, bool damaged)
{
    static struct audit_differences found; /* large */
    struct audit_kinds kinds;
    struct total total;
    const struct store *store = session_store(audit->config.session);
    found.n = 0;
    memset(&kinds, 0, sizeof kinds);
    for (unsigned id = 1; id <= KIND_MAX; id++)
        snprintf(kinds.name[id], sizeof kinds.name[id], "%s", store_kind(store, id));
    if (damaged)
        audit_compare_damaged(&found);
    else
        (void)audit_compare_registers(&audit->count, &kinds, &total, &found);
    if (found.n > 0 && !audit->suspect) {
        audit->suspect = true;
        audit->paused = false; /* it ends by itself */
        audit->tries = 0;
        reset_count(audit);
        events_arm(audit->again, ONCE_MORE_MS);
        return;
    }
    audit->counts.audited++;
    if (found.n > 0)
        self_audit_note(audit, &found);
    self_audit_end(audit);
}

static void self_audit_skip(struct self_audit *audit)
{
    audit->counts.skipped++;
    self_audit_end(audit);
}

static void self_audit_disturbed(struct self_audit *audit)
{
    struct total total;
    bool countable = total_parse_head(&total, audit->count.head, audit->count.head_bytes) == 0 &&
                     total.voters <= PAUSE_VOTERS_MAX;
    if (!audit->paused && ++audit->tries < TRIES)
        begin_count(audit);
    else if (!audit->paused && countable)
        ask_pause(audit, PAUSE_MS, PAUSING);
    else /* also if the pause ended before the count */
        self_audit_skip(audit);
}

/* --- answers --- */

static void on_count(void *user, const redisReply *answer)
{
    struct self_audit *audit = user;
    enum audit_count_step step = audit_count_answer(&audit->count, answer);
    switch (step) {
    case AUDIT_COUNT_MORE:
        if (audit->paused)
            ask_slice(audit);
        else
            events_arm(audit->again, GAP_MS);
        break;
    case AUDIT_COUNT_DONE:
    case AUDIT_COUNT_DAMAGED:
        self_audit_judge(audit, step == AUDIT_COUNT_DAMAGED);
        break;
    case AUDIT_COUNT_CHANGED:
        self_audit_disturbed(audit);
        break;
    case AUDIT_COUNT_ABSENT:
    case AUDIT_COUNT_FAILED: /* the session reports Redis's error; a pause ends by itself */
        audit->phase = IDLE;
        audit->paused = audit->suspect = false;
        break;
    }
}

static void on_pause(void *user, const redisReply *reply)
{
    struct self_audit *audit = user;
    bool pausing = audit->phase == PAUSING;
    audit->phase = IDLE;
    if (!pausing)
        return;
    audit->paused = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                    reply->element[0]->type == REDIS_REPLY_STRING &&
                    strcmp(reply->element[0]->str, "paused") == 0;
    if (audit->paused)
        begin_count(audit);
    else if (reply != NULL)
        self_audit_skip(audit); /* another auditor pauses the shard */
}

static void on_picked(void *user, const redisReply *reply)
{
    struct self_audit *audit = user;
    uint32_t shards = session_store(audit->config.session)->shards;
    audit->phase = IDLE;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR || shards == 0)
        return;
    if (reply->type == REDIS_REPLY_STRING && article_valid(reply->str, (size_t)reply->len)) {
        audit_count_begin_in(&audit->count, session_prefix(audit->config.session), reply->str,
                             (size_t)reply->len, audit->shard, SLICE);
        audit->tries = 0;
        ask_slice(audit);
    } else if (++audit->empty < shards) {
        audit->shard = (audit->shard + 1) % shards;
        self_audit_pick(audit);
    }
}

static void self_audit_pick(struct self_audit *audit)
{
    char key[REDIS_KEY_BYTES];
    redis_key(key, session_prefix(audit->config.session), audit->shard, "heads");
    audit->generation = session_generation(audit->config.session, audit->shard);
    const char *argv[] = {"HRANDFIELD", key};
    const size_t bytes[] = {10, strlen(key)};
    (void)self_audit_ask(audit, on_picked, PICKING, 2, argv, bytes);
}

static void on_next(evutil_socket_t fd, short what, void *user)
{
    struct self_audit *audit = user;
    (void)fd;
    (void)what;
    uint32_t shards = session_store(audit->config.session)->shards;
    if (audit->phase != IDLE || shards == 0)
        return;
    audit->paused = audit->suspect = false;
    audit->shard = randombytes_uniform(shards);
    audit->empty = 0;
    self_audit_pick(audit);
}

/* --- making and ending --- */

struct self_audit *self_audit_new(struct event_base *base, const struct self_audit_config *config)
{
    uint64_t whose;
    struct self_audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL)
        return NULL;
    audit->config = *config;
    randombytes_buf(&whose, sizeof whose);
    snprintf(audit->whose, sizeof audit->whose, "%016" PRIx64, whose);
    audit->next = event_new(base, -1, EV_PERSIST, on_next, audit);
    audit->again = event_new(base, -1, 0, on_again, audit);
    if (audit->next == NULL || audit->again == NULL)
        goto fail;
    if (config->per_minute > 0 && events_arm(audit->next, 60000 / config->per_minute) != 0)
        goto fail;
    return audit;
fail:
    self_audit_free(audit);
    return NULL;
}

void self_audit_free(struct self_audit *audit)
{
    if (audit == NULL)
        return;
    events_free(audit->next);
    events_free(audit->again);
    free(audit);
}

const struct self_audit_counts *self_audit_counts(const struct self_audit *audit)
{
    return &audit->counts;
}

#include "follow.h"

#include "core/article.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/redis_link.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLY_MAX_MS 2000
#define CHANNEL "tally:changed"
#define STATES_CHANNEL "tally:states"
#define LOOKUP_KEYS 3      /* heads, base, states */
#define READ_WORDS 6       /* EVAL, read.lua, number of keys, tally:store, a key, the store's id */
#define RUN_PART_BYTES 12  /* of Redis's run id, and of its replication id */
#define STATES_COUNT "500" /* a request, about */
#define KEEP_LATER_MS 1000 /* after Redis would not store a state */
#define SAY_MS 10000       /* between two lines about the same */

extern const unsigned char read_lua[], state_lua[], touch_lua[];
extern const unsigned long read_lua_bytes, state_lua_bytes, touch_lua_bytes;

struct follow {
    struct follow_config config;
    struct redis_link *link;
    struct redis_link *hints;
    struct event *tick; /* each second: looks for the store, and for replies that do not come */
    bool ready;
    bool checking; /* the store is being read */
    char why[96];
    char store[FOLLOW_STORE_ID_BYTES +
               1];                  /* "" until one was found; then only this one is followed */
    char run[FOLLOW_RUN_BYTES + 1]; /* of Redis */
    uint64_t version[FOLLOW_MAX_SHARDS]; /* that its shards had at least, in this run */
    uint32_t shards;
    struct kinds kinds;
    char collector[FOLLOW_STORE_ID_BYTES +
                   1];    /* the store that the collector is ready with, or "" */
    unsigned outstanding; /* requests without a reply */
    uint64_t progress_ms; /* when a reply came last, or the first request went out */
    uint64_t reread_ms;
    uint64_t bad_said_ms, keep_said_ms;
    struct follow_stats stats;
};

/* ---- readiness ---- */

static void set_away(struct follow *follow, const char *why)
{
    bool was_ready = follow->ready;
    follow->ready = false;
    if (strcmp(follow->why, why) != 0) {
        snprintf(follow->why, sizeof follow->why, "%s", why);
        if (redis_link_context(follow->link) != NULL)
            log_line(LOG_LEVEL_WARNING, "not following", "why=%s", why);
    }
    if (was_ready)
        follow->config.on_away(follow->config.user);
}

static void set_ready(struct follow *follow)
{
    if (follow->ready)
        return;
    follow->ready = true;
    follow->why[0] = '\0';
    log_line(LOG_LEVEL_INFO, "following", "store=%s shards=%" PRIu32, follow->store,
             follow->shards);
    follow->config.on_ready(follow->config.user);
}

static void bad(struct follow *follow, const char *what, const char *article, size_t bytes)
{
    uint64_t now_ms = clock_monotonic_ms();
    follow->stats.bad++;
    if (follow->bad_said_ms != 0 && now_ms - follow->bad_said_ms < SAY_MS)
        return;
    follow->bad_said_ms = now_ms;
    log_line(LOG_LEVEL_ERROR, what, "article=%.*s", (int)(bytes > 200 ? 200 : bytes), article);
}

/* ---- sending ---- */

static void replied(struct follow *follow)
{
    follow->outstanding--;
    follow->progress_ms = clock_monotonic_ms();
}

/* Sends one command. Returns 0, or -1 while there is no connection. */
static int send_words(struct follow *follow, redisCallbackFn *callback, void *user, int n,
                      const char **words, const size_t *bytes)
{
    if (redis_link_send(follow->link, callback, user, n, words, bytes) != 0)
        return -1;
    if (follow->outstanding++ == 0)
        follow->progress_ms = clock_monotonic_ms();
    return 0;
}

static int send_text(struct follow *follow, redisCallbackFn *callback, void *user, int n, ...)
{
    const char *words[8];
    size_t bytes[8];
    va_list arguments;
    va_start(arguments, n);
    for (int i = 0; i < n; i++) {
        words[i] = va_arg(arguments, const char *);
        bytes[i] = strlen(words[i]);
    }
    va_end(arguments);
    return send_words(follow, callback, user, n, words, bytes);
}

static bool is_array(const redisReply *reply, size_t elements)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == elements;
}

static bool is_string(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING;
}

/* Ends the connection for a reply that cannot be one, if there was any. */
static void refuse_reply(struct follow *follow, const redisReply *reply, const char *why)
{
    if (reply != NULL)
        redis_link_reset(follow->link, reply->type == REDIS_REPLY_ERROR ? reply->str : why);
}

/* ---- the store ---- */

struct store {
    char id[FOLLOW_STORE_ID_BYTES + 1];
    char format[8];
    unsigned long shards;
    struct kinds kinds;
};

static bool read_kind(struct store *store, const redisReply *name, const redisReply *id)
{
    char *end;
    unsigned long number = strtoul(id->str, &end, 10);
    const char *text = name->str + 5;
    size_t bytes = (size_t)name->len - 5;
    if (*end != '\0' || number < 1 || number > KIND_MAX || !kind_name_valid(text, bytes) ||
        store->kinds.name[number][0] != '\0')
        return false;
    memcpy(store->kinds.name[number], text, bytes);
    return true;
}

/* Reads HGETALL tally:store. Returns NULL, or why it cannot be followed. */
static const char *read_store(struct store *store, const redisReply *reply)
{
    memset(store, 0, sizeof *store);
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return "no store yet: no collector has made one";
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (!is_string(name) || !is_string(value))
            return "tally:store is not readable";
        if (strcmp(name->str, "id") == 0)
            snprintf(store->id, sizeof store->id, "%s", value->str);
        else if (strcmp(name->str, "format") == 0)
            snprintf(store->format, sizeof store->format, "%s", value->str);
        else if (strcmp(name->str, "shards") == 0)
            store->shards = strtoul(value->str, NULL, 10);
        else if (strncmp(name->str, "kind:", 5) == 0 && !read_kind(store, name, value))
            return "tally:store names a kind that cannot be";
    }
    if (strcmp(store->format, "1") != 0)
        return "the store is of another format than 1";
    if (strspn(store->id, "0123456789abcdef") != FOLLOW_STORE_ID_BYTES || store->shards < 1 ||
        store->shards > FOLLOW_MAX_SHARDS)
        return "tally:store has no good id or number of shards";
    return NULL;
}

/* Follow another store only once the collector is ready with it: that is the operator's decision
 * (--adopt). */
static bool may_follow(const struct follow *follow, const struct store *store)
{
    return follow->store[0] == '\0' || strcmp(store->id, follow->store) == 0 ||
           strcmp(store->id, follow->collector) == 0;
}

void follow_collector(struct follow *follow, const char *store)
{
    snprintf(follow->collector, sizeof follow->collector, "%s", store);
}

static void take_store(struct follow *follow, const struct store *store)
{
    memcpy(follow->store, store->id, sizeof follow->store);
    follow->shards = (uint32_t)store->shards;
    follow->kinds = store->kinds;
    set_ready(follow);
}

static void on_store(redisAsyncContext *redis, void *data, void *user)
{
    struct follow *follow = user;
    const redisReply *reply = data;
    struct store store;
    (void)redis;
    follow->checking = false;
    replied(follow);
    if (reply == NULL)
        return;
    const char *why = read_store(&store, reply);
    if (why == NULL && !may_follow(follow, &store))
        why = "another store than the one followed so far; the collector is not ready with it";
    if (why == NULL && follow->store[0] != '\0' &&
        (strcmp(store.id, follow->store) != 0 || store.shards != follow->shards)) {
        memset(follow->version, 0, sizeof follow->version);
        set_away(follow, "another store"); /* whoever follows begins again */
    }
    if (why != NULL)
        set_away(follow, why);
    else
        take_store(follow, &store);
}

static void check_store(struct follow *follow)
{
    if (!follow->checking && send_text(follow, on_store, follow, 2, "HGETALL", "tally:store") == 0)
        follow->checking = true;
}

/* A request found another store than the one followed, or none. */
static void meet_another(struct follow *follow)
{
    set_away(follow, "another store than the one followed so far");
    check_store(follow);
}

/* A shard's version, according to a reply. It only rises, unless Redis lost data while the
 * connection stayed: then everything begins again, as in another run. Returns whether it went back.
 */
static bool note_version(struct follow *follow, uint32_t shard, uint64_t version)
{
    if (version >= follow->version[shard] || !follow->ready) {
        follow->version[shard] = version;
        return false;
    }
    char run[FOLLOW_RUN_BYTES + 1];
    follow->stats.went_back++;
    memset(follow->version, 0, sizeof follow->version);
    memcpy(run, follow->run, sizeof run);
    snprintf(follow->run, sizeof follow->run, "%.*s-%" PRIu64, 2 * RUN_PART_BYTES, run,
             follow->stats.went_back % 1000000);
    set_away(follow, "Redis went back");
    check_store(follow);
    return true;
}

void follow_reread(struct follow *follow)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - follow->reread_ms < 1000)
        return;
    follow->reread_ms = now_ms;
    check_store(follow);
}

/* ---- links ---- */

/* The value of a line of INFO, RUN_PART_BYTES of it at most. */
static void read_info(const char *info, const char *name, char out[RUN_PART_BYTES + 1])
{
    const char *at = strstr(info, name);
    size_t n = 0;
    if (at != NULL)
        for (at += strlen(name); n < RUN_PART_BYTES && at[n] > ' '; n++)
            out[n] = at[n];
    out[n] = '\0';
}

static void on_info(redisAsyncContext *redis, void *data, void *user)
{
    struct follow *follow = user;
    const redisReply *reply = data;
    char run[RUN_PART_BYTES + 1] = "", replication[RUN_PART_BYTES + 1] = "",
                              was[FOLLOW_RUN_BYTES + 1];
    (void)redis;
    replied(follow);
    if (reply == NULL)
        return;
    if (reply->type != REDIS_REPLY_ERROR && reply->str != NULL) {
        read_info(reply->str, "\nrun_id:", run);
        read_info(reply->str, "\nmaster_replid:", replication);
    }
    memcpy(was, follow->run, sizeof was);
    snprintf(follow->run, sizeof follow->run, "%s%s", run, replication);
    if (run[0] == '\0' || strncmp(was, follow->run, strlen(follow->run)) != 0)
        memset(follow->version, 0, sizeof follow->version);
    else
        memcpy(follow->run, was, sizeof was);
}

static void on_link_up(void *user, redisAsyncContext *redis)
{
    struct follow *follow = user;
    (void)redis;
    follow->outstanding = 0;
    follow->checking = false;
    (void)send_text(follow, on_info, follow, 1, "INFO");
    check_store(follow);
}

static void on_link_down(void *user, const char *why)
{
    struct follow *follow = user;
    (void)why;
    follow->stats.reconnects++;
    set_away(follow, "not connected");
    /* It cannot be asked whether it is another server's, too. */
    redis_link_reset(follow->hints, "the other connection was lost");
}

/* What was published to a channel; NULL where this is not a message, or not ready for one. */
static const redisReply *message_of(const struct follow *follow, const redisReply *reply)
{
    if (!is_array(reply, 3) || !is_string(reply->element[0]) || !is_string(reply->element[2]) ||
        strcmp(reply->element[0]->str, "message") != 0 || !follow->ready)
        return NULL;
    return reply->element[2];
}

static void on_state_hint(redisAsyncContext *redis, void *data, void *user)
{
    struct follow *follow = user;
    const redisReply *article = message_of(follow, data);
    (void)redis;
    if (article != NULL && article_valid(article->str, (size_t)article->len))
        follow->config.on_state(follow->config.user, article->str, (size_t)article->len);
}

static void on_hint(redisAsyncContext *redis, void *data, void *user)
{
    struct follow *follow = user;
    const redisReply *number = message_of(follow, data);
    (void)redis;
    if (number == NULL)
        return;
    char *end;
    unsigned long shard = strtoul(number->str, &end, 10);
    if (*end != '\0' || end == number->str || shard >= follow->shards)
        return;
    follow->stats.hints++;
    follow->config.on_hint(follow->config.user, (uint32_t)shard);
}

static void on_hints_up(void *user, redisAsyncContext *redis)
{
    const struct follow *follow = user;
    redisAsyncCommand(redis, on_hint, user, "SUBSCRIBE " CHANNEL);
    if (follow->config.on_state != NULL)
        redisAsyncCommand(redis, on_state_hint, user, "SUBSCRIBE " STATES_CHANNEL);
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
    struct follow *follow = user;
    (void)fd;
    (void)what;
    if (follow->outstanding > 0 && clock_monotonic_ms() - follow->progress_ms > REPLY_MAX_MS) {
        follow->stats.timeouts++;
        redis_link_reset(follow->link, "no reply in time");
        return;
    }
    check_store(follow);
}

struct follow *follow_new(struct event_base *base, const struct follow_config *config)
{
    struct follow *follow = calloc(1, sizeof *follow);
    if (follow == NULL)
        return NULL;
    follow->config = *config;
    snprintf(follow->why, sizeof follow->why, "not connected");
    struct redis_link_config link = {
        .host = config->host,
        .port = config->port,
        .password = config->password,
        .on_up = on_link_up,
        .on_down = on_link_down,
        .user = follow,
    };
    follow->link = redis_link_new(base, &link);
    link.on_up = on_hints_up;
    link.on_down = NULL;
    link.subscribes = true;
    follow->hints = redis_link_new(base, &link);
    follow->tick = event_new(base, -1, EV_PERSIST, on_tick, follow);
    if (follow->link == NULL || follow->hints == NULL || follow->tick == NULL ||
        events_arm(follow->tick, 1000) != 0) {
        follow_free(follow);
        return NULL;
    }
    return follow;
}

void follow_free(struct follow *follow)
{
    if (follow == NULL)
        return;
    follow->ready = false;
    redis_link_free(follow->hints);
    redis_link_free(follow->link);
    events_free(follow->tick);
    free(follow);
}

bool follow_ready(const struct follow *follow)
{
    return follow->ready;
}

const char *follow_why(const struct follow *follow)
{
    return redis_link_context(follow->link) != NULL ? follow->why : redis_link_why(follow->link);
}

int follow_set_password(struct follow *follow, const char *password)
{
    int hints = redis_link_set_password(follow->hints, password);
    return hints < 0 ? hints : redis_link_set_password(follow->link, password);
}

uint32_t follow_shards(const struct follow *follow)
{
    return follow->shards;
}

const char *follow_store(const struct follow *follow)
{
    return follow->store;
}

const char *follow_run(const struct follow *follow)
{
    return follow->run;
}

const struct kinds *follow_kinds(const struct follow *follow)
{
    return &follow->kinds;
}

struct follow_stats follow_stats(const struct follow *follow)
{
    return follow->stats;
}

/* ---- reading, of this store alone ---- */

struct read {
    const char *word[READ_WORDS + LOOKUP_KEYS * (FOLLOW_LOOKUP_MAX + 3)];
    size_t bytes[READ_WORDS + LOOKUP_KEYS * (FOLLOW_LOOKUP_MAX + 3)];
    int n;
    char count[LOOKUP_KEYS][12]; /* words of each command */
    int commands;
};

static void add_word(struct read *read, const char *word, size_t bytes)
{
    read->word[read->n] = word;
    read->bytes[read->n++] = bytes;
}

static void add_text(struct read *read, const char *word)
{
    add_word(read, word, strlen(word));
}

/* read.lua, which is to read `key` of a shard and others of it. */
static void begin_read(struct read *read, const struct follow *follow, const char *key)
{
    read->n = read->commands = 0;
    add_text(read, "EVAL");
    add_word(read, (const char *)read_lua, (size_t)read_lua_bytes);
    add_text(read, "2");
    add_text(read, "tally:store");
    add_text(read, key);
    add_text(read, follow->store);
}

/* A command of this many words follows. */
static void begin_command(struct read *read, int words)
{
    char *count = read->count[read->commands++];
    snprintf(count, sizeof read->count[0], "%d", words);
    add_text(read, count);
}

/* What the `commands` of read.lua answered; NULL where there is nothing to be read: it was not
 * this store, or no connection, or it is no such answer (`why`). */
static redisReply *const *answers(struct follow *follow, const redisReply *reply, size_t commands,
                                  const char *why)
{
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
        is_string(reply->element[0])) {
        if (strcmp(reply->element[0]->str, "ok") == 0 && reply->elements == commands + 1)
            return reply->element + 1;
        if (strcmp(reply->element[0]->str, "store") == 0) {
            meet_another(follow);
            return NULL;
        }
    }
    refuse_reply(follow, reply, why);
    return NULL;
}

/* ---- ranges of the changed set ---- */

struct range {
    struct follow *follow;
    uint32_t shard;
    follow_range_cb callback;
    void *user;
};

/* A member that is not an article is kept with 0 bytes, so that a caller paging through the set
 * gets past it. */
static bool read_change(struct follow *follow, struct follow_change *change,
                        const redisReply *member, const redisReply *score)
{
    char *end;
    if (!is_string(member) || !is_string(score))
        return false;
    double version = strtod(score->str, &end);
    if (*end != '\0' || !(version >= 1) || version > 9007199254740991.0)
        return false;
    bool valid = article_valid(member->str, (size_t)member->len);
    if (!valid)
        bad(follow, "changed set has a bad member", member->str, (size_t)member->len);
    *change = (struct follow_change){.article = member->str,
                                     .article_bytes = valid ? (size_t)member->len : 0,
                                     .version = (uint64_t)version};
    return true;
}

static size_t read_changes(struct follow *follow, const redisReply *pairs,
                           struct follow_change changes[FOLLOW_RANGE_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < pairs->elements && n < FOLLOW_RANGE_MAX; i += 2) {
        if (read_change(follow, &changes[n], pairs->element[i], pairs->element[i + 1]))
            n++;
        else
            follow->stats.bad++;
    }
    return n;
}

static void on_range(redisAsyncContext *redis, void *data, void *user)
{
    struct range *range = user;
    struct follow *follow = range->follow;
    struct follow_change changes[FOLLOW_RANGE_MAX];
    size_t n = 0;
    long got = -1;
    (void)redis;
    replied(follow);
    redisReply *const *answer = answers(follow, data, 2, "no range in a reply");
    if (answer != NULL && answer[1]->type != REDIS_REPLY_ARRAY) {
        refuse_reply(follow, answer[1], "no range in a reply");
    } else if (answer != NULL) {
        uint64_t version = is_string(answer[0]) ? strtoull(answer[0]->str, NULL, 10) : 0;
        if (!note_version(follow, range->shard, version)) {
            got = (long)(answer[1]->elements / 2);
            n = read_changes(follow, answer[1], changes);
        }
    }
    range->callback(range->user, range->shard, changes, n, got);
    free(range);
}

int follow_range(struct follow *follow, uint32_t shard, uint64_t low, uint64_t high,
                 bool newest_first, size_t limit, follow_range_cb callback, void *user)
{
    char key[32], meta[32], above[32], upto[32] = "+inf", count[16];
    struct read read;
    if (!follow->ready)
        return -1;
    struct range *range = malloc(sizeof *range);
    if (range == NULL)
        return -1;
    *range = (struct range){.follow = follow, .shard = shard, .callback = callback, .user = user};
    snprintf(key, sizeof key, "tally:{%" PRIu32 "}:changed", shard);
    snprintf(meta, sizeof meta, "tally:{%" PRIu32 "}:meta", shard);
    snprintf(above, sizeof above, "(%" PRIu64, low);
    if (high != UINT64_MAX)
        snprintf(upto, sizeof upto, "%" PRIu64, high);
    snprintf(count, sizeof count, "%zu", limit);
    const char *range_words[] = {newest_first ? "ZREVRANGEBYSCORE" : "ZRANGEBYSCORE",
                                 key,
                                 newest_first ? upto : above,
                                 newest_first ? above : upto,
                                 "WITHSCORES",
                                 "LIMIT",
                                 "0",
                                 count};
    begin_read(&read, follow, key);
    begin_command(&read, 3);
    add_text(&read, "HGET");
    add_text(&read, meta);
    add_text(&read, "version");
    begin_command(&read, 8);
    for (int i = 0; i < 8; i++)
        add_text(&read, range_words[i]);
    if (send_words(follow, on_range, range, read.n, read.word, read.bytes) != 0) {
        free(range);
        return -1;
    }
    follow->stats.ranges++;
    return 0;
}

/* ---- heads, bases and states ---- */

struct lookup {
    struct follow *follow;
    follow_lookup_cb callback;
    void *user;
    unsigned pending; /* shards whose reply has not come */
    bool failed;
    size_t n;
    char *text; /* the articles, one after another */
    struct follow_total total[];
};

struct part {
    struct lookup *lookup;
    uint32_t shard;
};

static void finish(struct lookup *lookup)
{
    if (lookup->failed)
        lookup->callback(lookup->user, NULL, lookup->n);
    else
        lookup->callback(lookup->user, lookup->total, lookup->n);
    for (size_t i = 0; i < lookup->n; i++)
        free((void *)lookup->total[i].state);
    free(lookup->text);
    free(lookup);
}

/* The state, to be freed; NULL where it is none (*bad), or for no memory. */
static struct article_state *read_state(const struct follow_total *total, const redisReply *stored,
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

static void read_total(struct follow *follow, struct follow_total *total, const redisReply *head,
                       const redisReply *base, const redisReply *state)
{
    bool bad_state = false;
    if (is_string(state)) /* few have one */
        total->state = read_state(total, state, &bad_state);
    total->outcome = FOLLOW_NONE;
    memset(&total->total, 0, sizeof total->total);
    if (is_string(head)) {
        total->outcome = FOLLOW_FOUND;
        if (total_parse_head(&total->total, head->str, (size_t)head->len) != 0)
            goto wrong;
    }
    if (total->total.forgotten)
        memset(total->total.count, 0, sizeof total->total.count);
    if (is_string(base) && total_add_base(&total->total, base->str, (size_t)base->len) != 0)
        goto wrong;
    if (bad_state)
        goto wrong;
    return;
wrong:
    total->outcome = FOLLOW_BAD;
    bad(follow, "head, base or state of no known format", total->article, total->article_bytes);
}

static void on_part(redisAsyncContext *redis, void *data, void *user)
{
    struct part *part = user;
    struct lookup *lookup = part->lookup;
    struct follow *follow = lookup->follow;
    static const char why[] = "no heads, bases and states in a reply";
    size_t n = 0, at = 0;
    (void)redis;
    replied(follow);
    redisReply *const *answer = answers(follow, data, LOOKUP_KEYS, why);
    for (size_t i = 0; i < lookup->n; i++)
        n += lookup->total[i].shard == part->shard;
    bool good = answer != NULL && is_array(answer[0], n) && is_array(answer[1], n) &&
                is_array(answer[2], n);
    if (answer != NULL && !good)
        refuse_reply(follow, answer[0], why);
    for (size_t i = 0; i < lookup->n && good; i++) {
        if (lookup->total[i].shard != part->shard)
            continue;
        read_total(follow, &lookup->total[i], answer[0]->element[at], answer[1]->element[at],
                   answer[2]->element[at]);
        at++;
    }
    lookup->failed = lookup->failed || !good;
    free(part);
    if (--lookup->pending == 0)
        finish(lookup);
}

/* Read it all in one step: between two commands a count may move from the head to the base, or a
 * state may change to hide what was already read. */
static int send_part(struct lookup *lookup, uint32_t shard)
{
    static const char *const names[LOOKUP_KEYS] = {"heads", "base", "states"};
    struct follow *follow = lookup->follow;
    char key[LOOKUP_KEYS][32];
    struct read read;
    int n = 0;
    struct part *part = malloc(sizeof *part);
    if (part == NULL)
        return -1;
    *part = (struct part){.lookup = lookup, .shard = shard};
    for (size_t i = 0; i < lookup->n; i++)
        n += lookup->total[i].shard == shard;
    for (int k = 0; k < LOOKUP_KEYS; k++) {
        snprintf(key[k], sizeof key[k], "tally:{%" PRIu32 "}:%s", shard, names[k]);
        if (k == 0)
            begin_read(&read, follow, key[k]);
        begin_command(&read, n + 2);
        add_text(&read, "HMGET");
        add_text(&read, key[k]);
        for (size_t i = 0; i < lookup->n; i++)
            if (lookup->total[i].shard == shard)
                add_word(&read, lookup->total[i].article, lookup->total[i].article_bytes);
    }
    if (send_words(follow, on_part, part, read.n, read.word, read.bytes) != 0) {
        free(part);
        return -1;
    }
    lookup->pending++;
    return 0;
}

static struct lookup *make_lookup(struct follow *follow, const struct follow_article *articles,
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
    lookup->follow = follow;
    lookup->n = n;
    lookup->text = text;
    for (size_t i = 0; i < n; i++) {
        memcpy(text + used, articles[i].id, articles[i].bytes);
        lookup->total[i].article = text + used;
        lookup->total[i].article_bytes = articles[i].bytes;
        lookup->total[i].shard = article_shard(articles[i].id, articles[i].bytes, follow->shards);
        used += articles[i].bytes;
    }
    return lookup;
}

int follow_lookup(struct follow *follow, const struct follow_article *articles, size_t n,
                  follow_lookup_cb callback, void *user)
{
    if (!follow->ready || n == 0 || n > FOLLOW_LOOKUP_MAX)
        return -1;
    struct lookup *lookup = make_lookup(follow, articles, n);
    if (lookup == NULL)
        return -1;
    lookup->callback = callback;
    lookup->user = user;
    uint64_t seen = 0; /* a bit a shard */
    for (size_t i = 0; i < n && !lookup->failed; i++) {
        uint32_t shard = lookup->total[i].shard;
        if (seen & UINT64_C(1) << shard)
            continue;
        seen |= UINT64_C(1) << shard;
        lookup->failed = send_part(lookup, shard) != 0;
    }
    if (lookup->pending == 0) { /* nothing was sent */
        free(lookup->text);
        free(lookup);
        return -1;
    }
    follow->stats.lookups++;
    return 0;
}

/* ---- states ---- */

struct states_page {
    struct follow *follow;
    uint32_t shard;
    follow_states_cb callback;
    void *user;
};

/* Reads the pairs of a page into `out` and `state`, of as many. Returns how many are of articles.
 */
static size_t read_states(struct follow *follow, const redisReply *pairs, struct follow_state *out,
                          struct article_state *state)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
        const redisReply *article = pairs->element[i], *stored = pairs->element[i + 1];
        if (!is_string(article) || !is_string(stored) ||
            !article_valid(article->str, (size_t)article->len)) {
            bad(follow, "a state of no article", "", 0);
            continue;
        }
        bool good = article_state_parse(&state[n], article->str, (size_t)article->len, stored->str,
                                        (size_t)stored->len) == 0 &&
                    state[n].version > 0;
        if (!good)
            bad(follow, "state of no known format", article->str, (size_t)article->len);
        out[n] = (struct follow_state){.article = article->str,
                                       .article_bytes = (size_t)article->len,
                                       .state = good ? &state[n] : NULL};
        n++;
    }
    return n;
}

static void on_states(redisAsyncContext *redis, void *data, void *user)
{
    struct states_page *page = user;
    struct follow *follow = page->follow;
    static const char why[] = "no states in a reply";
    struct follow_state *states = NULL;
    struct article_state *state = NULL;
    const char *cursor = NULL;
    size_t n = 0;
    (void)redis;
    replied(follow);
    redisReply *const *answer = answers(follow, data, 1, why);
    const redisReply *reply = answer != NULL ? answer[0] : NULL;
    if (reply != NULL && is_array(reply, 2) && is_string(reply->element[0]) &&
        reply->element[1]->type == REDIS_REPLY_ARRAY) {
        size_t pairs = reply->element[1]->elements / 2;
        states = calloc(pairs + 1, sizeof *states);
        state = calloc(pairs + 1, sizeof *state);
        if (states != NULL && state != NULL) {
            n = read_states(follow, reply->element[1], states, state);
            cursor = reply->element[0]->str;
        }
    } else {
        refuse_reply(follow, reply, why);
    }
    page->callback(page->user, page->shard, states, n, cursor);
    free(states);
    free(state);
    free(page);
}

int follow_states(struct follow *follow, uint32_t shard, const char *cursor,
                  follow_states_cb callback, void *user)
{
    char key[32];
    struct read read;
    if (!follow->ready)
        return -1;
    struct states_page *page = malloc(sizeof *page);
    if (page == NULL)
        return -1;
    *page =
        (struct states_page){.follow = follow, .shard = shard, .callback = callback, .user = user};
    snprintf(key, sizeof key, "tally:{%" PRIu32 "}:states", shard);
    const char *words[] = {"HSCAN", key, cursor, "COUNT", STATES_COUNT};
    begin_read(&read, follow, key);
    begin_command(&read, 5);
    for (int i = 0; i < 5; i++)
        add_text(&read, words[i]);
    if (send_words(follow, on_states, page, read.n, read.word, read.bytes) != 0) {
        free(page);
        return -1;
    }
    return 0;
}

struct keep {
    struct follow *follow;
    const char *failed; /* what to say where it cannot be done */
    follow_keep_cb callback;
    void *user;
};

/* It is tried again each KEEP_LATER_MS, with all others that are refused. */
static uint32_t not_kept(const struct keep *keep, const char *why)
{
    struct follow *follow = keep->follow;
    uint64_t now_ms = clock_monotonic_ms();
    if (follow->keep_said_ms == 0 || now_ms - follow->keep_said_ms >= SAY_MS) {
        follow->keep_said_ms = now_ms;
        log_line(LOG_LEVEL_WARNING, keep->failed, "why=%s", why);
    }
    return KEEP_LATER_MS;
}

/* What state.lua and touch.lua answer. Not 0: retry after this many ms. */
static uint32_t read_kept(const struct keep *keep, const redisReply *reply, uint64_t *version)
{
    if (reply == NULL)
        return KEEP_LATER_MS;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && is_string(reply->element[0])) {
        const redisReply *second = reply->element[1];
        if (strcmp(reply->element[0]->str, "ok") == 0 && is_string(second)) {
            *version = strtoull(second->str, NULL, 10);
            return 0;
        }
        if (strcmp(reply->element[0]->str, "store") == 0) {
            meet_another(keep->follow);
            return KEEP_LATER_MS;
        }
        if (strcmp(reply->element[0]->str, "paused") == 0 && second->type == REDIS_REPLY_INTEGER &&
            second->integer > 0)
            return (uint32_t)second->integer;
        return not_kept(keep, is_string(second) ? second->str : "");
    }
    return not_kept(keep, reply->type == REDIS_REPLY_ERROR ? reply->str : "no such answer");
}

static void on_kept(redisAsyncContext *redis, void *data, void *user)
{
    struct keep *keep = user;
    uint64_t version = 0;
    (void)redis;
    replied(keep->follow);
    uint32_t later_ms = read_kept(keep, data, &version);
    keep->callback(keep->user, version, later_ms);
    free(keep);
}

/* Runs a script that writes, on `keys` keys of the article's shard and tally:store. */
static int send_writer(struct follow *follow, const struct keep *like, const char *script,
                       size_t script_bytes, const char *const *names, int keys,
                       const char *const *arguments, const size_t *argument_bytes, int n)
{
    const char *words[16] = {"EVAL", script};
    size_t bytes[16] = {4, script_bytes};
    char key[4][32], count[12];
    int at = 3;
    uint32_t shard = article_shard(arguments[0], argument_bytes[0], follow->shards);
    struct keep *keep = malloc(sizeof *keep);
    if (keep == NULL)
        return -1;
    *keep = *like;
    snprintf(count, sizeof count, "%d", keys + 1);
    words[2] = count;
    bytes[2] = strlen(count);
    for (int i = 0; i < keys; i++) {
        snprintf(key[i], sizeof key[i], "tally:{%" PRIu32 "}:%s", shard, names[i]);
        words[at] = key[i];
        bytes[at++] = strlen(key[i]);
    }
    words[at] = "tally:store";
    bytes[at++] = strlen("tally:store");
    for (int i = 0; i < n; i++) {
        words[at] = arguments[i];
        bytes[at++] = argument_bytes[i];
    }
    if (send_words(follow, on_kept, keep, at, words, bytes) != 0) {
        free(keep);
        return -1;
    }
    return 0;
}

struct script {
    struct follow *follow;
    follow_script_cb callback;
    void *user;
};

static void on_script(redisAsyncContext *redis, void *data, void *user)
{
    struct script *script = user;
    const redisReply *reply = data;
    const char *word = NULL;
    (void)redis;
    replied(script->follow);
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
        is_string(reply->element[0]))
        word = reply->element[0]->str;
    if (word != NULL && strcmp(word, "store") == 0) {
        meet_another(script->follow);
        word = NULL;
    } else if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        log_line(LOG_LEVEL_WARNING, "a script was refused", "why=%s", reply->str);
    script->callback(script->user, word);
    free(script);
}

int follow_script(struct follow *follow, uint32_t shard, const struct follow_text *text,
                  const char *const *names, size_t keys, const char *const *arguments, size_t n,
                  follow_script_cb callback, void *user)
{
    char key[FOLLOW_SCRIPT_MAX][32], number[12];
    const char *words[5 + 2 * FOLLOW_SCRIPT_MAX] = {"EVAL", text->text, number};
    size_t bytes[5 + 2 * FOLLOW_SCRIPT_MAX] = {4, text->bytes};
    size_t used = 3;
    if (!follow->ready || keys > FOLLOW_SCRIPT_MAX || n > FOLLOW_SCRIPT_MAX)
        return -1;
    struct script *script = malloc(sizeof *script);
    if (script == NULL)
        return -1;
    *script = (struct script){.follow = follow, .callback = callback, .user = user};
    snprintf(number, sizeof number, "%zu", keys + 1);
    for (size_t i = 0; i < keys; i++) {
        snprintf(key[i], sizeof key[i], "tally:{%" PRIu32 "}:%s", shard, names[i]);
        words[used++] = key[i];
    }
    words[used++] = "tally:store";
    for (size_t i = 0; i < n; i++)
        words[used++] = arguments[i];
    words[used++] = follow->store;
    for (size_t i = 2; i < used; i++)
        bytes[i] = strlen(words[i]);
    if (send_words(follow, on_script, script, (int)used, words, bytes) != 0) {
        free(script);
        return -1;
    }
    return 0;
}

int follow_keep(struct follow *follow, const char *article, size_t bytes, const char *json,
                uint64_t above, follow_keep_cb callback, void *user)
{
    static const char *const names[] = {"heads", "changed", "meta", "states"};
    const struct keep keep = {follow, "a state cannot be stored", callback, user};
    char number[12], version[24];
    if (!follow->ready)
        return -1;
    snprintf(number, sizeof number, "%" PRIu32, article_shard(article, bytes, follow->shards));
    snprintf(version, sizeof version, "%" PRIu64, above);
    const char *arguments[] = {article, json, number, follow->store, version};
    const size_t lengths[] = {bytes, strlen(json), strlen(number), strlen(follow->store),
                              strlen(version)};
    return send_writer(follow, &keep, (const char *)state_lua, (size_t)state_lua_bytes, names, 4,
                       arguments, lengths, 5);
}

int follow_touch(struct follow *follow, const char *article, size_t bytes, uint64_t above,
                 follow_keep_cb callback, void *user)
{
    static const char *const names[] = {"heads", "changed", "meta"};
    const struct keep keep = {follow, "an article cannot be given a newer version", callback, user};
    char number[12], version[24];
    if (!follow->ready)
        return -1;
    snprintf(number, sizeof number, "%" PRIu32, article_shard(article, bytes, follow->shards));
    snprintf(version, sizeof version, "%" PRIu64, above);
    const char *arguments[] = {article, version, number, follow->store};
    const size_t lengths[] = {bytes, strlen(version), strlen(number), strlen(follow->store)};
    return send_writer(follow, &keep, (const char *)touch_lua, (size_t)touch_lua_bytes, names, 3,
                       arguments, lengths, 4);
}

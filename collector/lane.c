#include "lane.h"

#include "ack.h"

#include "core/bytes.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "spool/spool_consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_COMMON_BYTES 64 /* of an article of up to 24 bytes, without a receipt */
#define KEYS 4
#define FIXED_ARGUMENTS (3 + KEYS + 9)
#define EXCEPTION_BYTES 3
#define HELD_SHARE 4 /* waiting receipts hold back at most 1/4 of the ring */
#define GATHER_MS 8  /* from call to call, unless a whole batch waits: see worth_a_call */

struct flight {
    struct lane *lane;
    struct take *take;
    struct flight *next; /* in the pool */
};

struct lane_pool {
    size_t batch_records;
    struct flight *free;
    const char **argv;
    size_t *bytes;
};

struct lane {
    struct lane_shared shared;
    struct source *source;
    struct apply apply;
    struct ack ack;
    bool asking;
    uint64_t reconnects; /* of the session, at the last doubt about the position */
    uint64_t sent_ms;    /* when the last batch was */
    char key[KEYS][32];
    char ring[17], shard[12];
    unsigned char edge[8];
};

/* --- the pool --- */

struct lane_pool *lane_pool_new(size_t batch_records)
{
    size_t arguments = FIXED_ARGUMENTS + 2 * batch_records;
    struct lane_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->batch_records = batch_records;
    pool->argv = calloc(arguments, sizeof *pool->argv);
    pool->bytes = calloc(arguments, sizeof *pool->bytes);
    if (pool->argv == NULL || pool->bytes == NULL) {
        lane_pool_free(pool);
        return NULL;
    }
    return pool;
}

void lane_pool_free(struct lane_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->free != NULL) {
        struct flight *flight = pool->free;
        pool->free = flight->next;
        take_free(flight->take);
        free(flight);
    }
    free(pool->argv);
    free(pool->bytes);
    free(pool);
}

static struct flight *flight_new(struct lane *lane)
{
    struct lane_pool *pool = lane->shared.pool;
    struct flight *flight = pool->free;
    if (flight != NULL) {
        pool->free = flight->next;
    } else {
        flight = calloc(1, sizeof *flight);
        if (flight == NULL)
            return NULL;
        flight->take = take_new(pool->batch_records);
        if (flight->take == NULL) {
            free(flight);
            return NULL;
        }
    }
    flight->lane = lane;
    return flight;
}

static void flight_done(struct lane_pool *pool, struct flight *flight)
{
    flight->next = pool->free;
    pool->free = flight;
}

/* --- a lane --- */

struct lane *lane_new(const struct lane_shared *shared, struct source *source)
{
    static const char *const names[KEYS] = {"heads", "changed", "meta", "rings"};
    const struct ring_identity *identity = source_identity(source);
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        source_free(source);
        return NULL;
    }
    lane->shared = *shared;
    lane->source = source;
    apply_init(&lane->apply);
    ack_begin(&lane->ack, source_ring(source).heard);
    for (int i = 0; i < KEYS; i++)
        snprintf(lane->key[i], sizeof lane->key[i], "tally:{%u}:%s", identity->shard, names[i]);
    snprintf(lane->shard, sizeof lane->shard, "%u", identity->shard);
    snprintf(lane->ring, sizeof lane->ring, "%016" PRIx64, identity->ring_id);
    bytes_put_u64(lane->edge, identity->edge_id);
    return lane;
}

void lane_free(struct lane *lane)
{
    if (lane == NULL)
        return;
    source_free(lane->source);
    free(lane);
}

struct source *lane_source(const struct lane *lane)
{
    return lane->source;
}

const char *lane_held(const struct lane *lane)
{
    return lane->apply.held;
}

bool lane_idle(const struct lane *lane)
{
    return lane->apply.in_flight == 0 && !lane->asking;
}

bool lane_has_more(const struct lane *lane)
{
    return lane->apply.state == APPLY_GOING && source_backlog_bytes(lane->source) > 0;
}

uint64_t lane_paused_ms(const struct lane *lane)
{
    return apply_paused_ms(&lane->apply, clock_monotonic_ms());
}

bool lane_drained(const struct lane *lane)
{
    return lane->apply.state == APPLY_GOING && lane->apply.in_flight == 0 &&
           source_ring(lane->source).old && source_backlog_bytes(lane->source) == 0;
}

static void give_up(struct lane *lane, const char *why)
{
    log_line(LOG_LEVEL_ERROR, "the ring is given up: it shall be renamed and drained",
             "shard=%s ring=%s reason=%s", lane->shard, lane->ring, why);
    ring_want_rotation(source_memory(lane->source));
    apply_rotate(&lane->apply, why);
}

/* --- the position --- */

static void say_rule(const struct lane *lane, enum apply_rule rule,
                     const struct apply_position *stored, const struct apply_ring *ring)
{
    if (rule == APPLY_OLDEST && stored->point.position < ring->oldest)
        log_line(LOG_LEVEL_ERROR,
                 "Redis went back further than the ring reaches: reactions are lost",
                 "shard=%s ring=%s position=%" PRIu64 " oldest=%" PRIu64, lane->shard, lane->ring,
                 stored->point.position, ring->oldest);
    else if (rule == APPLY_AGAIN)
        log_line(LOG_LEVEL_WARNING, "Redis was further than the old ring reaches: applied again",
                 "shard=%s ring=%s position=%" PRIu64 " end=%" PRIu64, lane->shard, lane->ring,
                 stored->point.position, ring->end);
    else
        log_line(LOG_LEVEL_DEBUG, "going on", "shard=%s ring=%s position=%" PRIu64, lane->shard,
                 lane->ring, stored->point.position);
}

static void go_on(struct lane *lane, const struct apply_position *stored)
{
    struct apply_ring ring = source_ring(lane->source);
    uint64_t start;
    enum apply_rule rule = apply_rule(&ring, stored->point.position, &start);
    if (rule == APPLY_ROTATE) {
        give_up(lane, "Redis has applied more than this ring holds");
        return;
    }
    say_rule(lane, rule, stored, &ring);
    if (source_seek(lane->source, start) != 0 && !ring.old) {
        /* The position heard last is only a preference; Redis's position must be found. */
        start = rule == APPLY_OLDEST ? ring.oldest : stored->point.position;
        if (source_seek(lane->source, start) != 0) {
            give_up(lane, "no record begins at Redis's position");
            return;
        }
    }
    if (start != ring.heard) /* records that waited for receipts are taken again, or were skipped */
        ack_begin(&lane->ack, start);
    apply_resume(&lane->apply, stored->point, start, ring.end);
    if (source_backlog_bytes(lane->source) == 0)
        apply_caught_up(&lane->apply);
}

static void on_position(redisAsyncContext *redis, void *answer, void *user)
{
    struct lane *lane = user;
    const redisReply *reply = answer;
    struct apply_position stored;
    (void)redis;
    session_heard(lane->shared.session);
    lane->asking = false;
    if (reply == NULL) {
        apply_ask_failed(&lane->apply, NULL, clock_monotonic_ms());
    } else if (reply->type == REDIS_REPLY_ERROR) {
        apply_ask_failed(&lane->apply, reply->str, clock_monotonic_ms());
    } else if ((reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL) ||
               apply_read_position(&stored, reply->str,
                                   reply->type == REDIS_REPLY_NIL ? 0 : (size_t)reply->len) != 0) {
        apply_ask_failed(&lane->apply, "the ring's position in Redis is none",
                         clock_monotonic_ms());
    } else if (source_scan(lane->source) != 0) {
        apply_ask_failed(&lane->apply, "no memory to scan an old ring", clock_monotonic_ms());
    } else {
        go_on(lane, &stored);
    }
}

static void ask_position(struct lane *lane)
{
    const char *argv[] = {"HGET", lane->key[3], lane->ring};
    const size_t bytes[] = {4, strlen(lane->key[3]), strlen(lane->ring)};
    if (session_send(lane->shared.session, on_position, lane, 3, argv, bytes) != 0)
        return;
    lane->asking = true;
    apply_asking(&lane->apply);
}

/* --- answers --- */

static void give_receipts(struct lane *lane, const struct take *take, const redisReply *superseded)
{
    const struct kind_table *kinds = &source_identity(lane->source)->kinds;
    const unsigned char *exception = (const unsigned char *)superseded->str;
    const unsigned char *end = exception + superseded->len;
    for (size_t i = 0; i < take_records(take); i++) {
        const struct record *record = take_record(take, i);
        const char *current = NULL;
        if (end - exception >= EXCEPTION_BYTES && bytes_get_u16(exception) == i) {
            current = store_kind(session_store(lane->shared.session), exception[2]);
            exception += EXCEPTION_BYTES;
        }
        if (record->client_id_bytes > 0)
            receipt_add(lane->shared.receipts, record, kinds->name[record->kind], current);
    }
}

static void applied(struct lane *lane, const struct take *take, const redisReply *reply)
{
    struct status_counts *counts = lane->shared.counts;
    const redisReply *superseded = reply->element[4], *split = reply->element[5];
    counts->batches++;
    counts->added += (uint64_t)reply->element[1]->integer;
    counts->changed += (uint64_t)reply->element[2]->integer;
    counts->repeated += (uint64_t)reply->element[3]->integer;
    counts->superseded += (uint64_t)superseded->len / EXCEPTION_BYTES;
    counts->set_aside += take_aside(take);
    counts->lost += take_lost(take);
    if (take_lost(take) > 0)
        log_line(LOG_LEVEL_ERROR, "reactions are lost", "shard=%s ring=%s lost=%" PRIu64,
                 lane->shard, lane->ring, take_lost(take));
    if (split->len > 0)
        log_line(LOG_LEVEL_ERROR, "an article's registers could not be split", "shard=%s error=%s",
                 lane->shard, split->str);
    give_receipts(lane, take, superseded);
}

/* What the answer of register.lua means; *why tells what went wrong, and with which record. */
static enum apply_answer read_answer(const redisReply *reply, const char **why, size_t *article)
{
    *why = NULL;
    *article = 0;
    if (reply == NULL)
        return APPLY_NO_ANSWER;
    if (reply->type == REDIS_REPLY_ERROR) {
        *why = reply->str;
        return apply_judge(reply->str, false);
    }
    const char *word =
        reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 ? reply->element[0]->str : "";
    if (strcmp(word, "at") == 0)
        return APPLY_ELSEWHERE;
    if (strcmp(word, "ok") == 0 && reply->elements == 6)
        return APPLY_OK;
    if (strcmp(word, "paused") == 0)
        return APPLY_PAUSED;
    *why = "unexpected reply from register.lua";
    if (strcmp(word, "error") != 0 || reply->elements != 3)
        return APPLY_WAIT;
    *why = reply->element[1]->str;
    *article = (size_t)reply->element[2]->integer;
    return apply_judge(*why, *article > 0);
}

static void say_failure(const struct lane *lane, const struct take *take, enum apply_answer answer,
                        const char *why, size_t article)
{
    const struct record *record = take_article(take, article);
    switch (answer) {
    case APPLY_WAIT:
    case APPLY_POISON:
        if (strcmp(lane->apply.held, why) == 0)
            break; /* already logged */
        log_line(LOG_LEVEL_ERROR, "a batch was not applied",
                 "shard=%s records=%zu article=%.*s error=%s", lane->shard, take_records(take),
                 record != NULL ? record->article_bytes : 0, record != NULL ? record->article : "",
                 why);
        break;
    case APPLY_ELSEWHERE:
        log_line(LOG_LEVEL_WARNING, "Redis is at another position",
                 "shard=%s ring=%s here=%" PRIu64, lane->shard, lane->ring,
                 take_from(take).position);
        break;
    case APPLY_NO_SCRIPT:
        log_line(LOG_LEVEL_INFO, "Redis forgot the script: loaded again", "shard=%s", lane->shard);
        break;
    case APPLY_OK:
    case APPLY_PAUSED:
    case APPLY_NO_ANSWER:
        break;
    }
}

/* Moves the ring's acknowledged position up to the heard one, once the receipts have been sent. */
static void acknowledge(struct lane *lane)
{
    struct take_point point;
    uint64_t held_max_bytes = source_identity(lane->source)->capacity_bytes / HELD_SHARE;
    if (ack_take(&lane->ack, receipt_gone(lane->shared.receipts), held_max_bytes, &point))
        source_acknowledge(lane->source, point);
}

static void on_batch(redisAsyncContext *redis, void *answer, void *user)
{
    struct flight *flight = user;
    struct lane *lane = flight->lane;
    const char *why;
    size_t article;
    enum apply_answer what = read_answer(answer, &why, &article);
    (void)redis;
    session_heard(lane->shared.session);
    if (what == APPLY_OK)
        applied(lane, flight->take, answer);
    else if (lane->apply.state == APPLY_GOING) {
        say_failure(lane, flight->take, what, why, article);
        if (what == APPLY_ELSEWHERE || what == APPLY_NO_SCRIPT)
            session_look(lane->shared.session);
    }
    apply_answered(&lane->apply, what, flight->take, why, clock_monotonic_ms());
    if (what == APPLY_OK && lane->apply.heard == take_end(flight->take).position) {
        source_heard(lane->source, take_end(flight->take));
        ack_add(&lane->ack, take_end(flight->take), receipt_given(lane->shared.receipts));
        acknowledge(lane);
    }
    flight_done(lane->shared.pool, flight);
}

/* --- batches --- */

static int set_aside(struct lane *lane, struct take *take, const struct record *record,
                     const char *why)
{
    /* First the file, then Redis's position. After a failure in between, the record is taken again
     * and found in the file. */
    int written = spool_consumer_set_aside(lane->shared.spool, record, why);
    if (written < 0)
        return -1;
    if (written == 0)
        log_line(LOG_LEVEL_ERROR, "a reaction is set aside",
                 "shard=%s ring=%s position=%" PRIu64 " article=%.*s reason=%s", lane->shard,
                 lane->ring, record->position, (int)record->article_bytes, record->article, why);
    take_set_aside(take, record);
    return 0;
}

/* Fills the batch. Returns 1 if there is something to send, else 0. */
static int fill(struct lane *lane, struct take *take)
{
    const struct ring_identity *identity = source_identity(lane->source);
    size_t limit = apply_limit(&lane->apply, lane->shared.batch_records);
    uint8_t kind_ids[KIND_MAX + 1];
    struct record record;
    int got = 0;
    if (store_map(session_store(lane->shared.session), &identity->kinds, kind_ids) != 0) {
        session_look(lane->shared.session);
        return 0;
    }
    take_begin(take, lane->apply.point);
    for (size_t n = 0; n < limit && (got = source_next(lane->source, &record)) == 1; n++) {
        const char *why = record.kind > identity->kinds.n ? "its kind is none of its ring's"
                          : apply_sets_aside(&lane->apply, &record) ? lane->apply.held
                                                                    : NULL;
        if (why == NULL)
            take_add(take, &record, kind_ids[record.kind]);
        else if (record.sequence < take_from(take).sequence)
            take_set_aside(take, &record); /* it counts; only its receipt cannot be repeated */
        else if (set_aside(lane, take, &record, why) != 0) {
            source_back(lane->source, &record);
            if (n == 0)
                apply_hold(&lane->apply, "set-aside is full or cannot be written",
                           clock_monotonic_ms());
            break;
        }
    }
    if (!take_empty(take))
        return 1;
    if (got < 0)
        give_up(lane, "a damaged record");
    return 0;
}

static int send_batch(struct lane *lane, struct flight *flight)
{
    struct lane_pool *pool = lane->shared.pool;
    const struct session *session = lane->shared.session;
    struct take_point from = take_from(flight->take), to = take_to(flight->take);
    unsigned char from_bytes[8], to_bytes[16];
    char aside[24], lost[24], split[12];
    size_t n = 0;
    bytes_put_u64(from_bytes, from.position);
    bytes_put_u64(to_bytes, to.position);
    bytes_put_u64(to_bytes + 8, to.sequence);
    snprintf(aside, sizeof aside, "%zu", take_aside(flight->take));
    snprintf(lost, sizeof lost, "%" PRIu64, take_lost(flight->take));
    snprintf(split, sizeof split, "%u", session_store(session)->split);
    const struct {
        const void *at;
        size_t bytes;
    } fixed[FIXED_ARGUMENTS] = {
        {"EVALSHA", 7},
        {session_script(session), strlen(session_script(session))},
        {"4", 1},
        {lane->key[0], strlen(lane->key[0])},
        {lane->key[1], strlen(lane->key[1])},
        {lane->key[2], strlen(lane->key[2])},
        {lane->key[3], strlen(lane->key[3])},
        {lane->ring, strlen(lane->ring)},
        {from_bytes, sizeof from_bytes},
        {to_bytes, sizeof to_bytes},
        {aside, strlen(aside)},
        {lost, strlen(lost)},
        {lane->edge, sizeof lane->edge},
        {split, strlen(split)},
        {lane->shard, strlen(lane->shard)},
        {apply_renews(&lane->apply, flight->take) ? "1" : "0", 1},
    };
    for (n = 0; n < FIXED_ARGUMENTS; n++) {
        pool->argv[n] = fixed[n].at;
        pool->bytes[n] = fixed[n].bytes;
    }
    take_arguments(flight->take, pool->argv, pool->bytes, n);
    n += 2 * take_articles(flight->take);
    return session_send(lane->shared.session, on_batch, flight, (int)n, pool->argv, pool->bytes);
}

/* Marks the ring before its first batch is applied. If the mark came after, a crash in between
 * would make another store look like its own. */
static void mark(struct lane *lane)
{
    void *memory = source_memory(lane->source);
    uint64_t id = session_store(lane->shared.session)->id;
    if (ring_store_id(memory) != id)
        ring_set_store_id(memory, id);
}

/* Group commit: one call takes what gathered during the previous one, and for at least some ms,
 * because a call costs Redis as much as ten votes. After a quiet moment the first reaction goes at
 * once. More than one call is under way only if whole batches are waiting. */
static bool worth_a_call(const struct lane *lane)
{
    uint64_t backlog_bytes = source_backlog_bytes(lane->source);
    if (backlog_bytes >= lane->shared.batch_records * RECORD_COMMON_BYTES)
        return true;
    bool one_by_one = apply_limit(&lane->apply, lane->shared.batch_records) == 1;
    return lane->apply.in_flight == 0 && backlog_bytes > 0 &&
           (one_by_one || clock_monotonic_ms() - lane->sent_ms >= GATHER_MS);
}

bool lane_gathers(const struct lane *lane)
{
    return lane->apply.in_flight == 0 && lane_has_more(lane) && !worth_a_call(lane);
}

void lane_pump(struct lane *lane)
{
    if (!session_ready(lane->shared.session))
        return;
    /* A Redis that comes back may have lost what it had applied last, and there may never be
     * another reaction in this ring to reveal it. */
    if (lane->reconnects != session_reconnects(lane->shared.session)) {
        lane->reconnects = session_reconnects(lane->shared.session);
        apply_doubt(&lane->apply);
    }
    if (apply_asks(&lane->apply, clock_monotonic_ms())) {
        ask_position(lane);
        return;
    }
    /* Acknowledged records may be overwritten, so acknowledge none while Redis may have lost them.
     */
    if (lane->apply.state == APPLY_GOING)
        acknowledge(lane);
    while (apply_sends(&lane->apply, lane->shared.in_flight_max) && worth_a_call(lane)) {
        struct flight *flight = flight_new(lane);
        if (flight == NULL) {
            apply_hold(&lane->apply, "no memory", clock_monotonic_ms());
            return;
        }
        if (fill(lane, flight->take) == 0) {
            flight_done(lane->shared.pool, flight);
            return;
        }
        mark(lane);
        apply_sent(&lane->apply, flight->take);
        lane->sent_ms = clock_monotonic_ms();
        if (send_batch(lane, flight) !=
            0) { /* the connection is closing, which ends the calls under way */
            apply_answered(&lane->apply, APPLY_NO_ANSWER, flight->take, NULL, clock_monotonic_ms());
            flight_done(lane->shared.pool, flight);
            return;
        }
    }
}

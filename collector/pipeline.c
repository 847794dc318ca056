/* The policy of a ring's way into Redis: when to ask, when to send and how much, what to do after
 * each answer. */
#include "pipeline.h"

#include "flight.h"
#include "register_call.h"
#include "release.h"

#include "core/gather.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_COMMON_BYTES 64 /* of an article of up to 24 bytes, without a receipt */
#define HELD_SHARE 4           /* waiting receipts hold back at most 1/4 of the ring */
#define GATHER_MIN_MS 8        /* from call to call, unless a whole batch waits: see worth_a_call */
#define LATE_MS 20

struct pipeline {
    struct pipeline_shared shared;
    struct source *source;
    struct apply apply;
    struct release release;
    bool asking;
    uint64_t generation; /* of the shard, at the last resync: its position is known in no other */
    uint64_t sent_ms;    /* when the last batch was */
    struct gather gather;
    unsigned number; /* of the shard */
    struct register_call call;
};

/* --- a pipeline --- */

struct pipeline *pipeline_new(const struct pipeline_shared *shared, struct source *source)
{
    struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL) {
        source_free(source);
        return NULL;
    }
    pipeline->shared = *shared;
    pipeline->source = source;
    apply_init(&pipeline->apply);
    gather_init(&pipeline->gather, shared->gather_load, GATHER_MIN_MS, PIPELINE_GATHER_MAX_MS);
    release_begin(&pipeline->release, source_ring(source).acknowledged);
    pipeline->number = source_identity(source)->shard;
    register_call_init(&pipeline->call, session_prefix(shared->session), source_identity(source));
    return pipeline;
}

void pipeline_free(struct pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    source_free(pipeline->source);
    free(pipeline);
}

struct source *pipeline_source(const struct pipeline *pipeline)
{
    return pipeline->source;
}

const char *pipeline_held(const struct pipeline *pipeline)
{
    return pipeline->apply.held;
}

bool pipeline_idle(const struct pipeline *pipeline)
{
    return pipeline->apply.in_flight == 0 && !pipeline->asking;
}

static bool is_current(const struct pipeline *pipeline)
{
    return pipeline->generation == session_generation(pipeline->shared.session, pipeline->number);
}

static bool pipeline_ready(const struct pipeline *pipeline)
{
    return session_ready(pipeline->shared.session, pipeline->number);
}

bool pipeline_late(const struct pipeline *pipeline, uint64_t now_ms)
{
    return pipeline->apply.in_flight > 0 && now_ms - pipeline->sent_ms >= LATE_MS;
}

uint64_t pipeline_paused_ms(const struct pipeline *pipeline)
{
    return pipeline_ready(pipeline) ? apply_paused_ms(&pipeline->apply, clock_monotonic_ms())
                                    : UINT64_MAX;
}

bool pipeline_drained(const struct pipeline *pipeline)
{
    return pipeline->apply.state == APPLY_GOING && pipeline->apply.in_flight == 0 &&
           source_ring(pipeline->source).old && source_backlog_bytes(pipeline->source) == 0 &&
           is_current(pipeline) &&
           (!session_replicates(pipeline->shared.session) || release_empty(&pipeline->release));
}

static void give_up(struct pipeline *pipeline, const char *why)
{
    log_line(LOG_LEVEL_ERROR,
             "abandoning the ring: the plugin will rename it, and it will be drained",
             "shard=%s ring=%s reason=%s", pipeline->call.shard, pipeline->call.ring, why);
    ring_want_rotation(source_memory(pipeline->source));
    apply_rotate(&pipeline->apply, why);
}

/* --- the position --- */

static void say_rule(const struct pipeline *pipeline, enum apply_rule rule,
                     const struct apply_position *stored, const struct apply_ring *ring)
{
    if (rule == APPLY_OLDEST && stored->point.position < ring->oldest)
        log_line(LOG_LEVEL_ERROR,
                 "Redis went back further than the ring reaches: reactions are lost",
                 "shard=%s ring=%s position=%" PRIu64 " oldest=%" PRIu64, pipeline->call.shard,
                 pipeline->call.ring, stored->point.position, ring->oldest);
    else if (rule == APPLY_AGAIN)
        log_line(LOG_LEVEL_WARNING, "Redis was further than the old ring reaches: applied again",
                 "shard=%s ring=%s position=%" PRIu64 " end=%" PRIu64, pipeline->call.shard,
                 pipeline->call.ring, stored->point.position, ring->end);
    else
        log_line(LOG_LEVEL_DEBUG, "going on", "shard=%s ring=%s position=%" PRIu64,
                 pipeline->call.shard, pipeline->call.ring, stored->point.position);
}

static void go_on(struct pipeline *pipeline, const struct apply_position *stored)
{
    struct apply_ring ring = source_ring(pipeline->source);
    uint64_t start;
    enum apply_rule rule = apply_rule(&ring, stored->point.position, &start);
    if (rule == APPLY_ROTATE) {
        give_up(pipeline, "Redis has applied more than this ring holds");
        return;
    }
    say_rule(pipeline, rule, stored, &ring);
    if (source_seek(pipeline->source, start) != 0 && !ring.old) {
        /* The position acknowledged last is only a preference; Redis's position must be found. */
        start = rule == APPLY_OLDEST ? ring.oldest : stored->point.position;
        if (source_seek(pipeline->source, start) != 0) {
            give_up(pipeline, "no record begins at Redis's position");
            return;
        }
    }
    if (start !=
        ring.acknowledged) /* records that waited for receipts are taken again, or were skipped */
        release_begin(&pipeline->release, start);
    release_moment(&pipeline->release, session_moment(pipeline->shared.session, pipeline->number));
    apply_resume(&pipeline->apply, stored->point, start, ring.end);
    if (source_backlog_bytes(pipeline->source) == 0)
        apply_caught_up(&pipeline->apply);
}

/* Why a shard applies nothing: its keys are on their way to another node, or its data is another
 * store's, which may be so for all shards. */
static void note_refusal(struct pipeline *pipeline, const char *why)
{
    if (!session_moving(pipeline->shared.session, why) && strncmp(why, "store: ", 7) == 0)
        session_look(pipeline->shared.session);
}

static void on_position(void *user, const redisReply *answer)
{
    struct pipeline *pipeline = user;
    struct apply_position stored;
    const char *why = NULL;
    pipeline->asking = false;
    if (answer != NULL)
        why = register_call_read_position(&stored, answer);
    if (why != NULL)
        note_refusal(pipeline, why);
    if (why == NULL && answer != NULL && source_scan(pipeline->source) != 0)
        why = "no memory to scan an old ring";
    if (answer == NULL || why != NULL) {
        apply_ask_failed(&pipeline->apply, why, clock_monotonic_ms());
        return;
    }
    session_adopted(pipeline->shared.session, pipeline->number);
    go_on(pipeline, &stored);
}

static void ask_position(struct pipeline *pipeline)
{
    const char *argv[REGISTER_CALL_POSITION];
    size_t bytes[REGISTER_CALL_POSITION];
    register_call_ask(&pipeline->call, session_store(pipeline->shared.session)->id,
                      session_adopts(pipeline->shared.session, pipeline->number), argv, bytes);
    if (session_send(pipeline->shared.session, pipeline->number, on_position, pipeline,
                     REGISTER_CALL_POSITION, argv, bytes) != 0)
        return;
    pipeline->asking = true;
    apply_asking(&pipeline->apply);
}

/* --- answers --- */

static void give_receipts(struct pipeline *pipeline, const struct batch *batch,
                          struct register_call_reply *reply)
{
    const struct kind_table *kinds = &source_identity(pipeline->source)->kinds;
    const struct store *store = session_store(pipeline->shared.session);
    for (size_t i = 0; i < batch_range(batch)->records; i++) {
        const struct record *record = batch_record(batch, i);
        const char *current = NULL;
        unsigned kind_id;
        if (register_call_superseded(reply, i, &kind_id))
            current = store_kind(store, kind_id);
        /* A kind of another edge, newer than our copy of tally:store: the session reads its name
         * within a second, and the client repeats. */
        bool nameless = current != NULL && current[0] == '\0';
        if (record->client_id_bytes > 0 && !nameless)
            receipt_add(pipeline->shared.receipts, record, kinds->name[record->kind], current);
    }
}

static void count_applied(struct pipeline *pipeline, const struct batch_range *range,
                          const struct register_call_reply *reply)
{
    struct status_counts *counts = pipeline->shared.counts;
    counts->batches++;
    counts->added += reply->added;
    counts->changed += reply->changed;
    counts->repeated += reply->repeated;
    counts->superseded += reply->superseded;
    counts->quarantined += range->quarantined;
    counts->lost += range->lost;
    if (range->lost > 0)
        log_line(LOG_LEVEL_ERROR, "reactions are lost", "shard=%s ring=%s lost=%" PRIu64,
                 pipeline->call.shard, pipeline->call.ring, range->lost);
    if (reply->split_error[0] != '\0')
        log_line(LOG_LEVEL_ERROR, "cannot split an article's registers", "shard=%s error=%s",
                 pipeline->call.shard, reply->split_error);
}

static void say_failure(const struct pipeline *pipeline, const struct batch *batch,
                        const struct register_call_reply *reply)
{
    const struct record *record = batch_article(batch, reply->article);
    const struct batch_range *range = batch_range(batch);
    switch (reply->answer) {
    case APPLY_WAIT:
    case APPLY_POISON:
        if (strcmp(pipeline->apply.held, reply->why) == 0)
            break; /* already logged */
        log_line(LOG_LEVEL_ERROR, "cannot apply a batch",
                 "shard=%s records=%zu article=%.*s error=%s", pipeline->call.shard, range->records,
                 record != NULL ? record->article_bytes : 0, record != NULL ? record->article : "",
                 reply->why);
        break;
    case APPLY_ELSEWHERE:
        log_line(LOG_LEVEL_WARNING, "Redis has another position", "shard=%s ring=%s here=%" PRIu64,
                 pipeline->call.shard, pipeline->call.ring, range->from.position);
        break;
    case APPLY_NO_SCRIPT:
        log_line(LOG_LEVEL_INFO, "Redis forgot the script or the accelerator: looks again",
                 "shard=%s", pipeline->call.shard);
        break;
    case APPLY_OK:
    case APPLY_PAUSED:
    case APPLY_NO_ANSWER:
        break;
    }
}

/* Moves the ring's released position up to the acknowledged one, once the receipts have been sent.
 */
static void release_sent(struct pipeline *pipeline)
{
    struct batch_point point;
    uint64_t held_max_bytes = source_identity(pipeline->source)->capacity_bytes / HELD_SHARE;
    const struct session *session = pipeline->shared.session;
    uint64_t replicated =
        session_replicates(session) ? session_replicated(session, pipeline->number) : UINT64_MAX;
    if (release_next(&pipeline->release, receipt_gone(pipeline->shared.receipts), replicated,
                     held_max_bytes, &point))
        source_release(pipeline->source, point);
}

/* The batch was applied in its turn: the outcomes up to its end are known. */
static void acknowledge_batch(struct pipeline *pipeline, struct batch_point end)
{
    source_acknowledged(pipeline->source, end);
    release_add(&pipeline->release, end, receipt_given(pipeline->shared.receipts),
                session_moment(pipeline->shared.session, pipeline->number));
    release_sent(pipeline);
}

static void on_batch(void *user, const redisReply *answer)
{
    struct flight *flight = user;
    struct pipeline *pipeline = flight->pipeline;
    const struct batch_range *range = batch_range(flight->batch);
    struct register_call_reply reply;
    register_call_read(&reply, answer);
    if (answer != NULL)
        timings_called(pipeline->shared.timings, clock_monotonic_ns() - flight->sent_ns);
    if (reply.answer == APPLY_OK) {
        count_applied(pipeline, range, &reply);
        timings_applied(pipeline->shared.timings, flight->batch, clock_unix_ms());
        give_receipts(pipeline, flight->batch, &reply);
    } else if (pipeline->apply.state == APPLY_GOING) {
        say_failure(pipeline, flight->batch, &reply);
        if (reply.answer == APPLY_ELSEWHERE)
            session_look(pipeline->shared.session);
        else if (reply.answer == APPLY_NO_SCRIPT)
            session_forgot(pipeline->shared.session, pipeline->number);
        else if (reply.answer == APPLY_WAIT)
            note_refusal(pipeline, reply.why);
    }
    apply_answered(&pipeline->apply, reply.answer, range, reply.why, clock_monotonic_ms());
    if (reply.answer == APPLY_OK && pipeline->apply.acknowledged == range->end.position)
        acknowledge_batch(pipeline, range->end);
    flight_give(pipeline->shared.pool, flight);
}

/* --- batches --- */

/* The calls of one collector's rings meet; those of different collectors need not. */
static uint64_t gather_now_ms(const struct pipeline *pipeline)
{
    return clock_monotonic_ms() + pipeline->shared.gather_phase_ms;
}

/* First the file, then Redis's position. After a failure in between, the record is taken again and
 * found in the file. Returns 0, or -1 if the file cannot take it. */
static int quarantine_record(struct pipeline *pipeline, struct batch *batch,
                             const struct record *record, const char *why)
{
    int written = spool_consumer_quarantine(pipeline->shared.spool, record, why);
    if (written < 0)
        return -1;
    if (written == 0)
        log_line(LOG_LEVEL_ERROR, "a reaction is quarantined",
                 "shard=%s ring=%s position=%" PRIu64 " article=%.*s reason=%s",
                 pipeline->call.shard, pipeline->call.ring, record->position,
                 (int)record->article_bytes, record->article, why);
    batch_quarantine(batch, record);
    return 0;
}

/* Why a record must not be applied, or NULL. */
static const char *unfit(const struct pipeline *pipeline, const struct record *record)
{
    if (record->kind > source_identity(pipeline->source)->kinds.n)
        return "its kind is not in the ring's header";
    return apply_quarantines(&pipeline->apply, record) ? pipeline->apply.held : NULL;
}

static int add_record(struct pipeline *pipeline, struct batch *batch, const struct record *record,
                      const uint8_t *kind_ids)
{
    const char *why = unfit(pipeline, record);
    if (why == NULL)
        batch_add(batch, record, kind_ids[record->kind]);
    else if (record->sequence < batch_range(batch)->from.sequence)
        batch_quarantine(batch, record); /* it counts; only its receipt cannot be repeated */
    else
        return quarantine_record(pipeline, batch, record, why);
    return 0;
}

/* Fills the batch. Returns whether there is something to send. */
static bool fill_batch(struct pipeline *pipeline, struct batch *batch)
{
    size_t limit = apply_limit(&pipeline->apply, pipeline->shared.batch_records);
    const struct store *store = session_store(pipeline->shared.session);
    uint8_t kind_ids[KIND_MAX + 1];
    struct record record;
    int got = 0;
    if (store_map(store, &source_identity(pipeline->source)->kinds, kind_ids) != 0) {
        session_look(pipeline->shared.session);
        return false;
    }
    batch_begin(batch, pipeline->apply.point);
    for (size_t n = 0; n < limit && (got = source_next(pipeline->source, &record)) == 1; n++) {
        if (add_record(pipeline, batch, &record, kind_ids) == 0)
            continue;
        source_back(pipeline->source, &record);
        if (n == 0)
            apply_hold(&pipeline->apply,
                       "the file quarantine in the spool is full or cannot be written",
                       clock_monotonic_ms());
        break;
    }
    if (!batch_empty(batch))
        return true;
    if (got < 0)
        give_up(pipeline, "a damaged record");
    return false;
}

/* Marks the ring before its first batch is applied. If the mark came after, a crash in between
 * would make another store look like its own. */
static void mark_ring(struct pipeline *pipeline)
{
    void *memory = source_memory(pipeline->source);
    uint64_t id = session_store(pipeline->shared.session)->id;
    if (ring_store_id(memory) != id)
        ring_set_store_id(memory, id);
}

/* Returns 0, or -1 if the connection is closing, which ends the calls under way. */
static int send_batch(struct pipeline *pipeline, struct flight *flight)
{
    struct session *session = pipeline->shared.session;
    const struct batch_range *range = batch_range(flight->batch);
    const struct register_call_terms terms = {
        .script = session_script(session, pipeline->number),
        .accelerated = session_accelerated(session, pipeline->number),
        .store = session_store(session)->id,
        .split = session_store(session)->split,
        .renew = apply_renews(&pipeline->apply, range),
    };
    struct batch_arguments arguments = batch_finish(flight->batch);
    register_call_pack(&pipeline->call, range, &terms, &arguments);
    mark_ring(pipeline);
    apply_sent(&pipeline->apply, range);
    pipeline->sent_ms = clock_monotonic_ms();
    flight->sent_ns = clock_monotonic_ns();
    gather_call(&pipeline->gather, gather_now_ms(pipeline));
    gather_took(&pipeline->gather, range->records);
    if (session_send(session, pipeline->number, on_batch, flight, arguments.n, arguments.argv,
                     arguments.bytes) == 0)
        return 0;
    apply_answered(&pipeline->apply, APPLY_NO_ANSWER, range, NULL, clock_monotonic_ms());
    return -1;
}

/* Group commit: one call takes what gathered during the previous one, and for some ms more, because
 * a call costs Redis as much as several votes; the smaller the calls, the longer (gather.h). After
 * a quiet moment the first reaction goes at once. More than one call is under way only if whole
 * batches are waiting. */
static bool worth_a_call(const struct pipeline *pipeline)
{
    uint64_t backlog_bytes = source_backlog_bytes(pipeline->source);
    if (backlog_bytes >= pipeline->shared.batch_records * RECORD_COMMON_BYTES)
        return true;
    bool one_by_one = apply_limit(&pipeline->apply, pipeline->shared.batch_records) == 1;
    return pipeline->apply.in_flight == 0 && backlog_bytes > 0 &&
           (one_by_one || gather_rest_ms(&pipeline->gather, gather_now_ms(pipeline)) == 0);
}

bool pipeline_has_more(const struct pipeline *pipeline)
{
    const struct apply *apply = &pipeline->apply;
    return apply_sends(apply, pipeline->shared.in_flight_max) &&
           source_backlog_bytes(pipeline->source) > 0 && pipeline_ready(pipeline) &&
           (apply->in_flight == 0 || worth_a_call(pipeline));
}

bool pipeline_gathers(const struct pipeline *pipeline)
{
    return pipeline->apply.in_flight == 0 && pipeline_has_more(pipeline) && !worth_a_call(pipeline);
}

void pipeline_pump(struct pipeline *pipeline)
{
    if (!pipeline_ready(pipeline))
        return;
    /* A Redis that comes back, or another server in its place, may have lost its last writes,
     * and there may never be another reaction in this ring to reveal it. */
    if (!is_current(pipeline)) {
        pipeline->generation = session_generation(pipeline->shared.session, pipeline->number);
        apply_resync(&pipeline->apply);
    }
    if (apply_asks(&pipeline->apply, clock_monotonic_ms())) {
        ask_position(pipeline);
        return;
    }
    /* Released records may be overwritten, so release none while Redis may have lost them. */
    if (pipeline->apply.state == APPLY_GOING)
        release_sent(pipeline);
    if (source_backlog_bytes(pipeline->source) > 0)
        gather_notice(&pipeline->gather, gather_now_ms(pipeline));
    while (apply_sends(&pipeline->apply, pipeline->shared.in_flight_max) &&
           worth_a_call(pipeline)) {
        struct flight *flight = flight_take(pipeline->shared.pool, pipeline);
        if (flight == NULL) {
            apply_hold(&pipeline->apply, "no memory", clock_monotonic_ms());
            return;
        }
        if (!fill_batch(pipeline, flight->batch) || send_batch(pipeline, flight) != 0) {
            flight_give(pipeline->shared.pool, flight);
            return;
        }
    }
}

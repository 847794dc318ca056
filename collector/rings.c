/* Finds, opens, follows, drains and deletes the files of rings; the pipelines do the rest. */
#include "rings.h"

#include "flight.h"
#include "ledger.h"
#include "unreadable.h"

#include "core/error.h"
#include "core/shard_names.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "spool/ring.h"
#include "spool/spool_consumer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a drained ring is kept: longer than a Redis with appendfsync everysec can lose (2 s), or
 * a master that is cut off takes writes that are lost (cluster-node-timeout, 15 s by default). */
#define OLD_KEEP_MS 5000
#define CLUSTER_KEEP_MS 60000
#define AGAIN_MS 1000 /* between two attempts to delete a ring */
#define OLD_MAX (SPOOL_SHARDS_MAX * SPOOL_OLD_MAX)

/* An old ring that is being drained, or waits for its turn (one per shard at a time), or has been
 * drained and is kept for a while. */
struct old {
    struct spool_consumer_old file;
    uint64_t drained_ms; /* 0: not drained */
    bool told;           /* the failure to delete it was logged */
    void *memory;
    uint64_t bytes;
    struct pipeline *pipeline;
};

struct rings {
    struct pipeline_shared shared;
    struct ledger *ledger;
    unsigned shards;
    struct pipeline *pipeline[SPOOL_SHARDS_MAX]; /* current rings; NULL none */
    char shard_why[SPOOL_SHARDS_MAX][APPLY_HELD_BYTES];
    struct old old[OLD_MAX];
    int olds;
    struct unreadable unreadable;
    bool list_old;   /* there may be unknown old rings */
    bool missed_old; /* there are, or listing them failed: try again */
};

/* All pipelines, first of current rings, then of old ones; NULL for a shard without a pipeline. */
static unsigned pipelines(const struct rings *rings)
{
    return rings->shards + (unsigned)rings->olds;
}

static struct pipeline *pipeline_at(const struct rings *rings, unsigned i)
{
    return i < rings->shards ? rings->pipeline[i] : rings->old[i - rings->shards].pipeline;
}

/* --- current rings --- */

/* Switches to the shard's current ring file, once nothing of the former one is under way. */
static void follow_ring(struct rings *rings, unsigned shard)
{
    struct ring_identity identity;
    struct pipeline *pipeline = rings->pipeline[shard];
    char *why = rings->shard_why[shard];
    char said[APPLY_HELD_BYTES];
    void *memory;
    uint64_t bytes;
    if (!spool_consumer_ring_replaced(rings->shared.spool, shard) ||
        (pipeline != NULL && !pipeline_idle(pipeline)))
        return;
    memcpy(said, why, sizeof said);
    struct error error = {0};
    int got = spool_consumer_ring(rings->shared.spool, shard, &memory, &bytes, &identity, &error);
    if (got == 0 && pipeline != NULL)
        return;
    pipeline_free(pipeline);
    rings->pipeline[shard] = NULL;
    rings->list_old = true;
    if (got >= 0) {
        struct source *source = source_new(memory, bytes, &identity, false, &error);
        if (source != NULL)
            rings->pipeline[shard] = pipeline_new(&rings->shared, source);
        else /* its header is invalid: the plugin must begin another ring */
            ring_want_rotation(memory);
    }
    if (error.text[0] != '\0')
        error_copy(&error, why, sizeof said);
    if (rings->pipeline[shard] != NULL) {
        why[0] = '\0';
        log_line(LOG_LEVEL_INFO, "ring opened", "shard=%u ring=%016" PRIx64, shard,
                 identity.ring_id);
        session_look(rings->shared.session);
    } else if (strcmp(said, why) != 0) {
        log_line(LOG_LEVEL_WARNING, "no ring", "shard=%u reason=%s", shard, why);
    }
}

/* By the header: the name of an old ring's file may hold another id. */
static uint64_t id_of(const struct pipeline *pipeline)
{
    return source_identity(pipeline_source(pipeline))->ring_id;
}

static bool is_current(const struct rings *rings, unsigned shard, uint64_t ring_id)
{
    return rings->pipeline[shard] != NULL && id_of(rings->pipeline[shard]) == ring_id;
}

static bool is_open(const struct rings *rings, const struct spool_consumer_old *file)
{
    for (int i = 0; i < rings->olds; i++)
        if (rings->old[i].file.shard == file->shard && rings->old[i].file.name_id == file->name_id)
            return true;
    return false;
}

enum opened { OPENED, STILL_CURRENT, UNREADABLE, NOT_NOW };

/* A shortage in this process (descriptors, memory) proves nothing about the ring. */
static enum opened open_old(struct rings *rings, const struct spool_consumer_old *file,
                            struct error *why)
{
    struct old *old = &rings->old[rings->olds];
    struct ring_identity identity;
    enum opened result = UNREADABLE;
    *old = (struct old){.file = *file};
    int mapped = spool_consumer_map_old(file, &old->memory, &old->bytes, why);
    if (mapped != 0)
        return mapped < 0 ? UNREADABLE : NOT_NOW;
    if (ring_identify(old->memory, old->bytes, &identity, why) != 0)
        goto fail;
    if (identity.shard != file->shard) {
        error_set(why, "it is of shard %u", identity.shard);
        goto fail;
    }
    if (is_current(rings, file->shard, identity.ring_id)) {
        result = STILL_CURRENT; /* renamed a moment ago; the switch to the next one is still due */
        goto fail;
    }
    struct source *source = source_new(old->memory, old->bytes, &identity, true, why);
    old->pipeline = source == NULL ? NULL : pipeline_new(&rings->shared, source);
    if (old->pipeline == NULL) {
        result = NOT_NOW;
        goto fail;
    }
    rings->olds++;
    return OPENED;
fail:
    spool_consumer_unmap_old(old->memory, old->bytes);
    return result;
}

static void find_old(struct rings *rings)
{
    struct spool_consumer_old file[OLD_MAX];
    struct error why = {"no memory"};
    int n = spool_consumer_list_old(rings->shared.spool, file, OLD_MAX);
    rings->list_old = false;
    rings->missed_old = n < 0;
    if (n >= 0)
        unreadable_keep(&rings->unreadable, file, n);
    for (int i = 0; i < n && rings->olds < OLD_MAX; i++) {
        if (file[i].shard >= rings->shards || is_open(rings, &file[i]))
            continue;
        switch (open_old(rings, &file[i], &why)) {
        case OPENED:
            log_line(LOG_LEVEL_WARNING, "draining an old ring", "shard=%u ring=%016" PRIx64,
                     file[i].shard, id_of(rings->old[rings->olds - 1].pipeline));
            session_look(rings->shared.session);
            break;
        case NOT_NOW:
            rings->missed_old = true;
            log_line(LOG_LEVEL_WARNING, "cannot open an old ring yet", "path=%s reason=%s",
                     file[i].path, why.text);
            break;
        case UNREADABLE:
            rings->shared.counts->damaged +=
                unreadable_put_away(&rings->unreadable, rings->shared.spool, &file[i], why.text);
            break;
        case STILL_CURRENT:
            break;
        }
    }
}

static void close_old(struct rings *rings, int i)
{
    pipeline_free(rings->old[i].pipeline);
    spool_consumer_unmap_old(rings->old[i].memory, rings->old[i].bytes);
    rings->old[i] = rings->old[--rings->olds];
}

/* Only its rings tell which store this edge belongs to (rings_accept). The last ring therefore
 * stays until there is another, which the plugin is about to begin. */
static bool is_last_ring(const struct rings *rings)
{
    for (unsigned i = 0; i < rings->shards; i++)
        if (rings->pipeline[i] != NULL)
            return false;
    return rings->olds == 1;
}

/* First the file, then the numbers. In the reverse order, a crash in between would drain the file
 * again with its position unknown, and the books would count it twice. */
static void finish_old(struct rings *rings, int i)
{
    struct old *old = &rings->old[i];
    uint64_t damaged = source_damaged(pipeline_source(old->pipeline));
    uint64_t ring_id = id_of(old->pipeline);
    if (is_last_ring(rings))
        return;
    if (spool_consumer_delete_old(&old->file) != 0) {
        if (!old->told)
            log_line(LOG_LEVEL_ERROR, "cannot delete an old ring: retrying every second",
                     "path=%s error=%s", old->file.path, strerror(errno));
        old->told = true;
        old->drained_ms += AGAIN_MS;
        return;
    }
    rings->shared.counts->damaged += damaged;
    log_line(damaged > 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "drained an old ring",
             "shard=%u ring=%016" PRIx64 " damaged=%" PRIu64, old->file.shard, ring_id, damaged);
    ledger_fold(rings->ledger, old->file.shard, ring_id);
    close_old(rings, i);
}

/* --- the ledger's callbacks --- */

static bool on_here(void *user, unsigned shard, uint64_t ring_id)
{
    const struct rings *rings = user;
    for (int i = 0; i < rings->olds; i++)
        if (rings->old[i].file.shard == shard && id_of(rings->old[i].pipeline) == ring_id)
            return true;
    return is_current(rings, shard, ring_id);
}

static bool on_complete(void *user)
{
    const struct rings *rings = user;
    if (rings->list_old || rings->missed_old)
        return false;
    for (unsigned i = 0; i < rings->shards; i++)
        if (rings->pipeline[i] == NULL || spool_consumer_ring_replaced(rings->shared.spool, i))
            return false;
    return true;
}

/* --- pumping --- */

/* Whether this ring's turn has come: any earlier ring of the same shard in the list is drained
 * first. */
static bool has_turn(const struct rings *rings, int i)
{
    for (int k = 0; k < i; k++)
        if (rings->old[k].file.shard == rings->old[i].file.shard && rings->old[k].drained_ms == 0)
            return false;
    return true;
}

/* Drains an old ring, and deletes it once Redis has had all of it long enough to have it durably.
 * If Redis lost data meanwhile, the position is requested again and the rest is sent again. */
static void pump_old(struct rings *rings, int i)
{
    struct old *old = &rings->old[i];
    pipeline_pump(old->pipeline);
    if (!session_ready(rings->shared.session, old->file.shard))
        return;
    if (!pipeline_drained(old->pipeline))
        old->drained_ms = 0;
    else if (old->drained_ms == 0)
        old->drained_ms = clock_monotonic_ms();
    else if (clock_monotonic_ms() - old->drained_ms >=
             (session_cluster(rings->shared.session) ? CLUSTER_KEEP_MS : OLD_KEEP_MS))
        finish_old(rings, i);
}

void rings_pump(struct rings *rings)
{
    struct spool *spool = rings->shared.spool;
    for (unsigned i = 0; i < rings->shards; i++)
        follow_ring(rings, i);
    if (rings->list_old)
        find_old(rings);
    ledger_sweep(rings->ledger, rings->shards, spool_id(spool), clock_monotonic_ms());
    for (unsigned i = 0; i < rings->shards; i++)
        if (rings->pipeline[i] != NULL && !spool_consumer_ring_replaced(spool, i))
            pipeline_pump(rings->pipeline[i]);
    for (int i = rings->olds - 1; i >= 0; i--)
        if (has_turn(rings, i))
            pump_old(rings, i);
}

void rings_look_again(struct rings *rings)
{
    rings->list_old = rings->shared.spool != NULL;
    for (unsigned i = 0; i < rings->shards; i++)
        if (rings->pipeline[i] == NULL)
            spool_consumer_look_again(rings->shared.spool, i);
}

bool rings_idle(const struct rings *rings)
{
    for (unsigned i = 0; i < pipelines(rings); i++)
        if (pipeline_at(rings, i) != NULL && !pipeline_idle(pipeline_at(rings, i)))
            return false;
    return true;
}

/* A ring that was replaced is left once it is idle, and nothing more is sent of it before. */
bool rings_have_more(const struct rings *rings)
{
    for (unsigned i = 0; i < rings->shards; i++)
        if (rings->pipeline[i] != NULL && pipeline_has_more(rings->pipeline[i]) &&
            (pipeline_idle(rings->pipeline[i]) ||
             !spool_consumer_ring_replaced(rings->shared.spool, i)))
            return true;
    for (int i = 0; i < rings->olds; i++)
        if (has_turn(rings, i) && pipeline_has_more(rings->old[i].pipeline))
            return true;
    return false;
}

bool rings_gather(const struct rings *rings)
{
    for (unsigned i = 0; i < pipelines(rings); i++)
        if (pipeline_at(rings, i) != NULL && pipeline_gathers(pipeline_at(rings, i)))
            return true;
    return false;
}

bool rings_late(const struct rings *rings, uint64_t now_ms)
{
    for (unsigned i = 0; i < pipelines(rings); i++)
        if (pipeline_at(rings, i) != NULL && pipeline_late(pipeline_at(rings, i), now_ms))
            return true;
    return false;
}

uint64_t rings_paused_ms(const struct rings *rings)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < pipelines(rings); i++)
        if (pipeline_at(rings, i) != NULL && pipeline_paused_ms(pipeline_at(rings, i)) < first)
            first = pipeline_paused_ms(pipeline_at(rings, i));
    return first;
}

/* --- the store --- */

void rings_describe(const struct rings *rings, struct store_rings *out)
{
    store_rings_init(out);
    for (unsigned i = 0; i < pipelines(rings); i++) {
        if (pipeline_at(rings, i) == NULL)
            continue;
        const struct source *source = pipeline_source(pipeline_at(rings, i));
        store_rings_add(out, source_identity(source), ring_store_id(source_memory(source)),
                        source_ring(source).acknowledged > 0);
    }
}

void rings_accept(struct rings *rings, uint64_t store_id, bool adopted)
{
    struct store_rings described;
    rings_describe(rings, &described);
    if (described.applied == 0 && !adopted)
        return;
    for (unsigned i = 0; i < pipelines(rings); i++)
        if (pipeline_at(rings, i) != NULL)
            ring_set_store_id(source_memory(pipeline_source(pipeline_at(rings, i))), store_id);
}

/* --- reports --- */

static const char *held_of(const struct rings *rings, unsigned shard)
{
    const char *held = rings->pipeline[shard] != NULL ? pipeline_held(rings->pipeline[shard])
                                                      : rings->shard_why[shard];
    return held[0] == '\0' && rings->pipeline[shard] == NULL ? "no ring yet" : held;
}

void rings_reason(const struct rings *rings, char *reason, size_t bytes)
{
    const char *first = "";
    char names[SHARD_NAMES_BYTES];
    bool of[SPOOL_SHARDS_MAX] = {false};
    for (unsigned i = 0; i < rings->shards; i++) {
        const char *held = held_of(rings, i);
        if (first[0] == '\0')
            first = held;
        of[i] = held[0] != '\0' && strcmp(held, first) == 0;
    }
    reason[0] = '\0';
    shard_names_write(names, of, rings->shards);
    if (strncmp(first, "OOM ", 4) == 0)
        snprintf(reason, bytes, STATUS_FULL);
    else if (first[0] != '\0')
        snprintf(reason, bytes, "%s: %s", names, first);
    for (int i = 0; reason[0] == '\0' && i < rings->olds; i++)
        if (pipeline_held(rings->old[i].pipeline)[0] != '\0')
            snprintf(reason, bytes, "shard %u, an old ring: %s", rings->old[i].file.shard,
                     pipeline_held(rings->old[i].pipeline));
}

void rings_count_full(const struct rings *rings, uint64_t room_bytes, unsigned *current,
                      unsigned *full)
{
    *current = *full = 0;
    for (unsigned i = 0; i < rings->shards; i++) {
        if (rings->pipeline[i] == NULL)
            continue;
        ++*current;
        *full += source_room_bytes(pipeline_source(rings->pipeline[i])) < room_bytes;
    }
}

void rings_fill_status(const struct rings *rings, struct status *status)
{
    uint64_t waiting, bytes;
    status->shards = rings->shards;
    for (unsigned i = 0; i < rings->shards; i++) {
        struct status_shard *shard = &status->shard[i];
        struct pipeline *pipeline = rings->pipeline[i];
        snprintf(shard->held, sizeof shard->held, "%s",
                 pipeline != NULL ? pipeline_held(pipeline) : rings->shard_why[i]);
        if (pipeline != NULL)
            source_waiting(pipeline_source(pipeline), &shard->waiting, &shard->backlog_bytes);
    }
    for (int i = 0; i < rings->olds; i++) {
        struct status_shard *shard = &status->shard[rings->old[i].file.shard];
        source_waiting(pipeline_source(rings->old[i].pipeline), &waiting, &bytes);
        shard->waiting += waiting;
        shard->backlog_bytes += bytes;
        shard->old_rings++;
        if (shard->held[0] == '\0')
            snprintf(shard->held, sizeof shard->held, "%s", pipeline_held(rings->old[i].pipeline));
    }
}

/* --- making and ending --- */

struct rings *rings_new(const struct pipeline_shared *shared)
{
    struct rings *rings = calloc(1, sizeof *rings);
    if (rings == NULL)
        return NULL;
    const struct ledger_config ledger = {
        .session = shared->session, .complete = on_complete, .here = on_here, .user = rings};
    rings->shared = *shared;
    rings->shared.spool = NULL;
    rings->shared.pool = flight_pool_new(shared->batch_records);
    rings->ledger = ledger_new(&ledger);
    if (rings->shared.pool == NULL || rings->ledger == NULL) {
        rings_free(rings);
        return NULL;
    }
    return rings;
}

void rings_open(struct rings *rings, struct spool *spool)
{
    rings->shared.spool = spool;
    rings->shards = spool_shards(spool);
    rings->list_old = true;
}

void rings_free(struct rings *rings)
{
    if (rings == NULL)
        return;
    ledger_free(rings->ledger);
    for (unsigned i = 0; i < rings->shards; i++)
        pipeline_free(rings->pipeline[i]);
    while (rings->olds > 0)
        close_old(rings, rings->olds - 1);
    flight_pool_free(rings->shared.pool);
    free(rings);
}

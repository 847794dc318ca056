/* Folds the rings of an edge (collector/fold.lua). A living edge would start its rings again, so
 * what tally:store says of its collector counts first, and then the rings are watched. */
#include "forget.h"

#include "books.h"
#include "command.h"
#include "json_out.h"

#include "daemon/clock.h"
#include "redis/redis_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RINGS_MAX 4096 /* of one edge: 64 shards, and some old ones of each */
#define RING_DIGITS 16
#define LOOK_MS 500

extern const unsigned char fold_lua[];
extern const unsigned long fold_lua_bytes;

struct forget_ring {
    uint32_t shard;
    char id[RING_DIGITS + 1];
    struct books_position position;
};

struct forget_rings {
    uint64_t edge;
    size_t n;
    bool damaged, full;
    bool booked; /* the edge has numbers in some shard's books */
    struct forget_ring of[RINGS_MAX];
};

/* --- looking --- */

static void on_ring(void *user, uint32_t shard, const char *field, const char *value,
                    size_t value_bytes)
{
    struct forget_rings *rings = user;
    struct books_position position;
    if (books_read_position(&position, value, value_bytes) != 0) {
        rings->damaged = true;
        return;
    }
    if (position.edge != rings->edge)
        return;
    if (rings->n == RINGS_MAX || strlen(field) != RING_DIGITS) {
        rings->full = true;
        return;
    }
    struct forget_ring *ring = &rings->of[rings->n++];
    ring->shard = shard;
    ring->position = position;
    memcpy(ring->id, field, sizeof ring->id);
}

static void on_book(void *user, uint32_t shard, const char *field, const char *value,
                    size_t value_bytes)
{
    struct forget_rings *rings = user;
    char *end;
    (void)shard;
    (void)value;
    (void)value_bytes;
    rings->booked = rings->booked || (strtoull(field, &end, 16) == rings->edge && *end == ':');
}

static int find_rings(const struct operate_settings *settings, struct store_view *store,
                      struct forget_rings *rings)
{
    rings->edge = settings->edge_id;
    rings->n = 0;
    rings->damaged = rings->full = rings->booked = false;
    for (uint32_t shard = 0; shard < store_view_shards(store); shard++)
        if (store_view_hash(store, shard, "rings", on_ring, rings) != 0 ||
            store_view_hash(store, shard, "books", on_book, rings) != 0)
            return command_failed(settings, "%s", store_view_error(store));
    if (rings->damaged)
        return command_failed(settings, "redis: a ring's position is of an unknown form");
    if (rings->full)
        return command_failed(settings, "the edge has more than %d rings, or one of no known name",
                              RINGS_MAX);
    return COMMAND_DONE;
}

static const struct forget_ring *same_ring(const struct forget_rings *rings,
                                           const struct forget_ring *ring)
{
    for (size_t i = 0; i < rings->n; i++)
        if (rings->of[i].shard == ring->shard && strcmp(rings->of[i].id, ring->id) == 0)
            return &rings->of[i];
    return NULL;
}

/* The shard of a ring that was applied to or made between the two looks; -1 none. A position that
 * went back is a failover's, but then the edge's collector applies again, if it lives. */
static int moved_shard(const struct forget_rings *before, const struct forget_rings *now)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct forget_ring *ring = same_ring(before, &now->of[i]);
        if (ring == NULL || ring->position.position != now->of[i].position.position)
            return (int)now->of[i].shard;
    }
    return -1;
}

static int watch_rings(const struct operate_settings *settings, struct store_view *store,
                       const struct forget_rings *first)
{
    static struct forget_rings now; /* large */
    const uint64_t limit_ms = clock_monotonic_ms() + settings->quiet_s * 1000;
    int status = COMMAND_DONE;
    while (status == COMMAND_DONE && clock_monotonic_ms() < limit_ms) {
        store_nodes_nap(store_view_nodes(store), LOOK_MS);
        status = find_rings(settings, store, &now);
        int shard = status == COMMAND_DONE ? moved_shard(first, &now) : -1;
        if (shard >= 0)
            status = command_refused(settings,
                                     "edge %s lives: a batch of it was applied to shard %d just "
                                     "now; stop it, tally drain its spool, and then forget it",
                                     settings->edge, shard);
    }
    return status;
}

/* --- what its collector says --- */

#define SEEN_FIELD_BYTES (sizeof "seen:" + RING_DIGITS)

static redisReply *ask_store(struct store_view *store, const char *word, const char *field)
{
    char key[REDIS_KEY_BYTES];
    struct store_nodes *nodes = store_view_nodes(store);
    store_nodes_key(nodes, key, REDIS_PLACE_STORE, NULL);
    const char *argv[] = {word, key, field};
    const size_t bytes[] = {strlen(word), strlen(key), field != NULL ? strlen(field) : 0};
    return store_nodes_ask(nodes, REDIS_PLACE_STORE, field != NULL ? 3 : 1, argv, bytes);
}

static void write_seen(char field[SEEN_FIELD_BYTES], const struct operate_settings *settings)
{
    snprintf(field, SEEN_FIELD_BYTES, "seen:%016" PRIx64, settings->edge_id);
}

static uint64_t seconds_of(const redisReply *reply)
{
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
        reply = reply->element[0]; /* of TIME */
    return reply != NULL && reply->type == REDIS_REPLY_STRING ? strtoull(reply->str, NULL, 10) : 0;
}

/* Both times are of Redis. */
static int check_seen(const struct operate_settings *settings, struct store_view *store)
{
    char field[SEEN_FIELD_BYTES];
    write_seen(field, settings);
    redisReply *seen = ask_store(store, "HGET", field);
    redisReply *time = seen != NULL ? ask_store(store, "TIME", NULL) : NULL;
    const uint64_t seen_s = seconds_of(seen), now_s = seconds_of(time);
    const bool failed = time == NULL;
    freeReplyObject(seen);
    freeReplyObject(time);
    if (failed)
        return command_failed(settings, "%s", store_nodes_error(store_view_nodes(store)));
    if (seen_s == 0 || now_s >= seen_s + REDIS_SEEN_GONE_S)
        return COMMAND_DONE;
    return command_refused(settings,
                           "edge %s lives: its collector was there %" PRIu64 " s ago; if it is "
                           "stopped and its spool is drained, forget it in %" PRIu64 " s",
                           settings->edge, now_s > seen_s ? now_s - seen_s : 0,
                           seen_s + REDIS_SEEN_GONE_S - now_s);
}

static int drop_seen(const struct operate_settings *settings, struct store_view *store)
{
    char field[SEEN_FIELD_BYTES];
    write_seen(field, settings);
    redisReply *reply = ask_store(store, "HDEL", field);
    if (reply == NULL)
        return command_failed(settings, "%s; its rings are dropped: run the command again",
                              store_nodes_error(store_view_nodes(store)));
    freeReplyObject(reply);
    return COMMAND_DONE;
}

/* --- folding --- */

static int fold_one(const struct operate_settings *settings, struct store_view *store,
                    struct store_edit *edit, const struct forget_ring *ring)
{
    struct store_nodes *nodes = store_view_nodes(store);
    char rings[REDIS_KEY_BYTES], books[REDIS_KEY_BYTES];
    store_nodes_key(nodes, rings, ring->shard, "rings");
    store_nodes_key(nodes, books, ring->shard, "books");
    const char *argv[] = {"EVAL", (const char *)fold_lua, "2", rings, books, ring->id};
    const size_t bytes[] = {4,          (size_t)fold_lua_bytes, 1, strlen(rings), strlen(books),
                            RING_DIGITS};
    if (store_nodes_wait(nodes, ring->shard) != 0)
        return command_failed(settings, "%s", store_nodes_error(nodes));
    store_edit_note_write(edit, ring->shard);
    redisReply *reply = store_view_ask(store, ring->shard, 6, argv, bytes);
    if (reply == NULL)
        return command_failed(settings, "%s; some rings are done: run the command again",
                              store_view_error(store));
    freeReplyObject(reply);
    return COMMAND_DONE;
}

static void forget_say(const struct operate_settings *settings, const struct forget_rings *rings)
{
    uint64_t applied = 0, quarantined = 0, lost = 0;
    for (size_t i = 0; i < rings->n; i++) {
        const struct books_position *position = &rings->of[i].position;
        applied += position->sequence - position->quarantined - position->lost;
        quarantined += position->quarantined;
        lost += position->lost;
    }
    if (settings->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "edge", settings->edge);
        cJSON_AddBoolToObject(object, "dry_run", settings->dry_run);
        json_out_whole(object, "rings", (int64_t)rings->n);
        json_out_whole(object, "applied", (int64_t)applied);
        json_out_whole(object, "quarantined", (int64_t)quarantined);
        json_out_whole(object, "lost", (int64_t)lost);
        json_out_print(object, stdout);
        return;
    }
    printf("edge %s: %zu rings %s: applied %" PRIu64 ", quarantined %" PRIu64 ", lost %" PRIu64
           " %s in the books\n",
           settings->edge, rings->n, settings->dry_run ? "would be dropped" : "are dropped",
           applied, quarantined, lost, settings->dry_run ? "would be" : "are");
}

static int forget_work(const struct operate_settings *settings, struct store_view *store,
                       struct store_edit *edit)
{
    static struct forget_rings rings; /* large */
    int status = find_rings(settings, store, &rings);
    if (status == COMMAND_DONE && rings.n == 0 && !rings.booked)
        return command_refused(settings, "the store knows no edge %s; tally audit names the edges",
                               settings->edge);
    const bool doubts = rings.n > 0 && !settings->force;
    if (status == COMMAND_DONE && doubts)
        status = check_seen(settings, store);
    if (status == COMMAND_DONE && doubts)
        status = watch_rings(settings, store, &rings);
    if (status == COMMAND_DONE && doubts) /* it may have come back */
        status = check_seen(settings, store);
    for (size_t i = 0; i < rings.n && status == COMMAND_DONE && !settings->dry_run; i++)
        status = fold_one(settings, store, edit, &rings.of[i]);
    if (status == COMMAND_DONE && !settings->dry_run)
        status = drop_seen(settings, store);
    if (status == COMMAND_DONE)
        forget_say(settings, &rings);
    return status == COMMAND_DONE ? command_replicated(settings, edit, status) : status;
}

static int forget_perform(const struct operate_settings *settings,
                          const struct links_secrets *secrets)
{
    struct store_edit *edit;
    struct store_view *store = command_open(settings, secrets, &edit);
    if (store == NULL)
        return COMMAND_FAILED;
    int status = forget_work(settings, store, edit);
    command_close(store, edit);
    return command_printed(settings, status);
}

int forget_run(int argc, char **argv)
{
    return command_run(OPERATE_FORGET, argc, argv, forget_perform);
}

/* Reads the positions first, then the spool: a position only rises afterwards, so a ring that is
 * empty by that position is empty. */
#include "drain_look.h"

#include "audit_books.h"
#include "books.h"

#include "spool/spool_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int read_positions(struct books *books, struct store_view *store, struct error *why)
{
    for (uint32_t shard = 0; shard < store_view_shards(store); shard++)
        if (audit_books_positions(books, store, shard, why) != 0)
            return -1;
    return 0;
}

/* Why the ring is not applied; NULL if it is, or if only `waiting` says it. */
static const char *judge_ring(const struct books_ring *ring, uint64_t store)
{
    if (ring->ring.damaged)
        return "its header is damaged";
    if (ring->ring.store_id != 0 && ring->ring.store_id != store)
        return "it was applied to another store";
    if (ring->rest.beyond)
        return "the store has applied more than the ring holds";
    if (!ring->ring.old && ring->ring.applied > ring->position.position)
        return "the store lacks some of what was applied before";
    if (ring->rest.waiting > 0)
        return NULL;
    if (ring->rest.missing > 0 || ring->rest.between)
        return "it has damaged records that are not accounted for";
    return NULL;
}

static void add_ring(struct drain_look *look, const struct books_ring *ring, uint64_t store)
{
    struct drain_left *left = &look->of[ring->ring.shard];
    const char *why = judge_ring(ring, store);
    left->waiting += ring->rest.waiting;
    if (why != NULL)
        snprintf(left->why, sizeof left->why, "%s: %s", ring->name, why);
    else if (ring->rest.waiting > 0)
        snprintf(left->why, sizeof left->why, "%" PRIu64 " reactions are not applied",
                 left->waiting);
}

static int look_at_spool(struct drain_look *look, struct spool_view *view, struct store_view *store,
                         struct error *why)
{
    static struct books books; /* large */
    look->broker = spool_view_has_producer(view);
    look->edge = spool_view_edge_id(view);
    look->shards = spool_view_shards(view);
    if (look->shards != store_view_shards(store))
        return error_set(why, "the spool has %" PRIu32 " shards, the store %" PRIu32, look->shards,
                         store_view_shards(store));
    books_begin(&books, look->edge);
    for (size_t i = 0; i < spool_view_rings(view); i++)
        books_add_ring(&books, spool_view_ring(view, i));
    if (read_positions(&books, store, why) != 0)
        return -1;
    if (spool_view_take(view) != 0)
        return error_set(why, "the spool kept changing while it was read: try again later");
    for (size_t i = 0; i < books.n; i++) {
        struct books_ring *ring = &books.ring[i];
        ring->ring = *spool_view_ring(view, i);
        if (spool_view_compare(view, i, ring->position.position, ring->position.sequence,
                               &ring->rest) != 0)
            return error_set(why, "the spool kept changing while it was read: try again later");
        add_ring(look, ring, store_view_id(store));
    }
    return spool_view_same(view)
               ? 0
               : error_set(why, "the spool kept changing while it was read: try again later");
}

/* The mark is the node's offset at a moment when the shard was applied. What the node has written
 * since does not matter. */
static void look_at_replicas(struct drain_look *look, uint32_t shard, struct store_view *store,
                             struct drain_marks *marks)
{
    struct drain_left *left = &look->of[shard];
    struct server_info_replication said;
    if (store_view_replication(store, shard, &said) != 0) {
        snprintf(left->why, sizeof left->why, "%.150s", store_view_error(store));
        return;
    }
    uint64_t generation = redis_nodes_generation(store_nodes_redis(store_view_nodes(store)), shard);
    if (marks->generation[shard] != generation) {
        marks->generation[shard] = generation;
        marks->offset[shard] = said.offset;
    }
    if (said.replicas == 0)
        snprintf(left->why, sizeof left->why, "all is applied, but its node has no replica");
    else if (said.best_replica < marks->offset[shard])
        snprintf(left->why, sizeof left->why, "all is applied, but no replica has it yet");
}

int drain_look_take(struct drain_look *look, const char *spool, struct store_view *store,
                    struct drain_marks *marks, struct error *why)
{
    bool retry;
    *look = (struct drain_look){0};
    if (store_view_wait(store) != 0)
        return error_set(why, "%s", store_view_error(store));
    uint64_t changes = store_view_changes(store);
    struct spool_view *view = spool_view_open(spool, &retry, why);
    if (view == NULL)
        return -1;
    int rc = look_at_spool(look, view, store, why);
    spool_view_free(view);
    if (rc != 0)
        return -1;
    for (uint32_t shard = 0; shard < look->shards; shard++) {
        struct drain_left *left = &look->of[shard];
        if (marks != NULL && left->why[0] != '\0')
            marks->generation[shard] = 0;
        else if (marks != NULL)
            look_at_replicas(look, shard, store, marks);
        look->left = look->left || left->why[0] != '\0';
    }
    /* A position of another node may be from before a failover. */
    if (store_view_changes(store) != changes)
        return error_set(why, "a shard has just moved to another node");
    return 0;
}

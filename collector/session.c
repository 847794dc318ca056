/* Reads tally:store every second, judges what it finds, and knows for each shard whether it is
 * ready. */
#include "session.h"

#include "claim.h"
#include "servers.h"
#include "store_call.h"
#include "store_look.h"

#include "core/error.h"
#include "daemon/clock.h"
#include "daemon/log.h"
#include "redis/redis_key.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000
#define SEEN_MS (REDIS_SEEN_EVERY_S * 1000)

struct session {
    struct session_config config;
    struct redis_nodes *nodes;
    struct servers *servers;
    struct claim *claim;
    struct store_look *look;

    bool accepted;
    bool adopt;
    bool adopts[REDIS_PLACE_STORE];
    struct store store;                /* as accepted last */
    struct store found;                /* as read last */
    uint64_t said_id;                  /* the store that was last logged as accepted */
    uint64_t edge_id;                  /* of the rings */
    uint64_t found_by;                 /* the question that `found` answers (store_look_asked) */
    uint64_t read_by;                  /* and `store` */
    uint64_t up_at[REDIS_PLACE_STORE]; /* the last question before the shard's owner was there */
    uint64_t seen_ms; /* when tally:store was last told that the edge lives; 0 never */
    char why[STORE_WHY_BYTES];
};

static struct node *owner(const struct session *session, unsigned place)
{
    return servers_owner(session->servers, place);
}

/* A shard that will be adopted is not asked first. */
static const struct node *claim_node(void *user, unsigned shard)
{
    const struct session *session = user;
    const struct node *node = owner(session, shard);
    return node != NULL && node_ready(node) && !session->adopts[shard] ? node : NULL;
}

/* --- the verdict --- */

static void session_hold(struct session *session, const char *why)
{
    session->accepted = false;
    if (strcmp(session->why, why) != 0)
        log_line(LOG_LEVEL_ERROR, "nothing is applied", "reason=%s", why);
    snprintf(session->why, sizeof session->why, "%s", why);
}

/* A shard that a ring has applied to has named the store. */
static void note_applied(struct session *session, const struct store_rings *rings)
{
    const struct store *store = &session->store;
    claim_store(session->claim, store->id, store->shards,
                store->placed | (rings->applied == store->id ? rings->applied_shards : 0));
}

static void session_accept(struct session *session, const struct store_rings *rings)
{
    const struct store *store = &session->store;
    session->store = session->found;
    session->read_by = session->found_by;
    bool adopted = session->adopt &&
                   (rings->of_stores || (rings->applied != 0 && rings->applied != store->id));
    if (adopted || store->id != session->said_id || session->why[0] != '\0')
        log_line(LOG_LEVEL_INFO, adopted ? "store adopted" : "store accepted",
                 "store=%016" PRIx64 " shards=%u split=%u", store->id, store->shards, store->split);
    session->said_id = store->id;
    session->edge_id = rings->edge;
    session->accepted = true;
    session->why[0] = '\0';
    for (unsigned i = 0; session->adopt && i < REDIS_PLACE_STORE; i++)
        session->adopts[i] = true;
    session->adopt = false;
    note_applied(session, rings);
    session->config.on_ready(session->config.user, adopted);
}

/* The answer is judged like any other. */
static void ask_script(struct session *session, enum store_call_what what,
                       const struct store_rings *rings)
{
    struct store_call call;
    uint64_t id = session->found.id;
    if (id == 0 && redis_nodes_cluster(session->nodes))
        id = session->store.id; /* lost by a failover: its shards still name it */
    while (what == STORE_CALL_MAKE && id == 0)
        randombytes_buf(&id, sizeof id);
    store_call_pack(&call, what, session_prefix(session), id, &session->store, rings);
    store_look_call(session->look, &call, true);
}

/* Returns whether to wait until a replica has the write. */
static bool wait_for_replica(struct session *session)
{
    const struct node *node = owner(session, REDIS_PLACE_STORE);
    return node != NULL && store_look_replicate(session->look, node_replicas(node));
}

/* What the store and the rings say together, unless the accepted store had kinds that are gone. */
static enum store_verdict verdict_of(const struct session *session, const struct store_rings *rings,
                                     struct error *why)
{
    enum store_verdict verdict = store_judge(&session->found, rings, session->adopt, why);
    if (verdict == STORE_SERVE || verdict == STORE_KINDS) {
        enum store_verdict kept = store_recall(&session->store, &session->found,
                                               redis_nodes_cluster(session->nodes), why);
        if (kept != STORE_SERVE)
            return kept;
    }
    return verdict;
}

static void session_judge(struct session *session, bool after_script)
{
    struct store_rings rings;
    struct error error;
    char why[STORE_WHY_BYTES];
    const struct node *node = owner(session, REDIS_PLACE_STORE);
    session->config.rings(session->config.user, &rings);
    enum store_verdict verdict = verdict_of(session, &rings, &error);
    switch (verdict) {
    case STORE_SERVE:
        if (!wait_for_replica(session))
            session_accept(session, &rings);
        break;
    case STORE_HOLD:
        error_copy(&error, why, sizeof why);
        session_hold(session, why);
        break;
    case STORE_MAKE:
    case STORE_KINDS:
        session->accepted = false;
        if (after_script) /* another edge came first: look again in a second */
            session_hold(session, "store: being created");
        else if (node != NULL && node_ready(node))
            ask_script(session, session->found.exists ? STORE_CALL_KEEP : STORE_CALL_MAKE, &rings);
        else /* node_why has the reason */
            session->why[0] = '\0';
    }
}

/* --- a look --- */

static void on_found(void *user, const struct store *found, bool after_script)
{
    struct session *session = user;
    session->found = *found;
    session->found_by = store_look_asked(session->look);
    session_judge(session, after_script);
}

static void on_replicated(void *user)
{
    session_judge(user, true);
}

static void on_failed(void *user, const char *why)
{
    session_hold(user, why);
}

void session_look(struct session *session)
{
    struct store_rings rings;
    struct error why;
    bool away = redis_nodes_owner(session->nodes, REDIS_PLACE_STORE) < 0;
    if (session->accepted) {
        session->found = session->store;
        session->config.rings(session->config.user, &rings);
        session->accepted = verdict_of(session, &rings, &why) == STORE_SERVE;
        if (session->accepted)
            session->config.on_ready(session->config.user, false);
        else if (away)
            session_hold(session, "store: its node is away, and a new ring must be checked");
    }
    if (!away)
        store_look_begin(session->look);
}

/* Shards whose owner came after tally:store was read. Another collector may have placed them
 * before the former owner's data were lost: only `placed` tells those from a new store's. */
static uint64_t session_unread(const struct session *session)
{
    uint64_t unread = 0;
    for (unsigned i = 0; i < session->store.shards && i < REDIS_PLACE_STORE; i++)
        if (session->read_by <= session->up_at[i])
            unread |= UINT64_C(1) << i;
    return unread & ~session->store.placed;
}

/* Shards that are not known to name the store are asked; tally:store then says that they do. */
static void place_shards(struct session *session, uint64_t now_ms)
{
    struct store_call call;
    const struct store *store = &session->store;
    if (!session->accepted || store_placed(store))
        return;
    uint64_t unread = session_unread(session);
    claim_tick(session->claim, now_ms, store->placed | unread);
    if (unread != 0 && !store_look_busy(session->look))
        store_look_begin(session->look);
    uint64_t settled = claim_settled(session->claim) & ~store->placed;
    if (store_look_busy(session->look) || settled == 0)
        return;
    store_call_placed(&call, session_prefix(session), store->id, settled);
    store_look_call(session->look, &call, false);
}

/* Nothing else shows it of an edge that has nothing to apply. */
static void say_seen(struct session *session, uint64_t now_ms)
{
    struct store_call call;
    if (!session->accepted || session->edge_id == 0 || store_look_busy(session->look) ||
        (session->seen_ms != 0 && now_ms - session->seen_ms < SEEN_MS))
        return;
    session->seen_ms = now_ms;
    store_call_seen(&call, session_prefix(session), session->store.id, session->edge_id);
    store_look_call(session->look, &call, false);
}

void session_tick(struct session *session)
{
    uint64_t now = clock_monotonic_ms();
    servers_tick(session->servers, now);
    place_shards(session, now);
    say_seen(session, now);
    if (!store_look_busy(session->look) && now - store_look_began_ms(session->look) >= LOOK_MS)
        store_look_begin(session->look);
}

/* --- servers and places --- */

static void on_clock(void *user, int64_t skew_ms, unsigned off, unsigned servers)
{
    struct session *session = user;
    session->config.on_clock(session->config.user, skew_ms, off, servers);
}

static void on_looked(void *user)
{
    struct session *session = user;
    place_shards(session, clock_monotonic_ms());
    /* A store is made only where the node is ready. */
    if (!session->accepted && session->why[0] == '\0' && !store_look_busy(session->look))
        store_look_begin(session->look);
}

/* While the node of tally:store is away, the store accepted before holds. */
static void on_place(void *user, unsigned place, bool up)
{
    struct session *session = user;
    struct store_rings rings;
    if (place != REDIS_PLACE_STORE) {
        if (up)
            session->up_at[place] = store_look_asked(session->look);
        if (up && session->accepted && !store_placed(&session->store)) {
            session->config.rings(session->config.user, &rings); /* before the new owner is asked */
            note_applied(session, &rings);
        }
        return;
    }
    store_look_reset(session->look);
    if (!session->accepted)
        session->why[0] = '\0';
    if (up)
        store_look_begin(session->look);
}

/* --- making and ending --- */

struct session *session_new(struct event_base *base, const struct session_config *config)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->config = *config;
    session->adopt = config->adopt;
    store_init(&session->store);
    store_init(&session->found);
    const struct servers_config servers = {
        .link = config->link,
        .url = config->url,
        .durability = config->durability,
        .accelerates = config->accelerates,
        .on_looked = on_looked,
        .on_clock = on_clock,
        .on_place = on_place,
        .user = session,
    };
    session->servers = servers_new(base, &servers);
    session->nodes = session->servers != NULL ? servers_nodes(session->servers) : NULL;
    const struct claim_config claim = {
        .nodes = session->nodes, .node = claim_node, .user = session};
    session->claim = claim_new(&claim);
    const struct store_look_config look = {
        .nodes = session->nodes,
        .wait_optional = config->durability == NODE_SERVICE,
        .on_found = on_found,
        .on_replicated = on_replicated,
        .on_failed = on_failed,
        .user = session,
    };
    session->look = store_look_new(&look);
    if (session->nodes == NULL || session->claim == NULL || session->look == NULL) {
        session_free(session);
        return NULL;
    }
    return session;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    servers_free(session->servers); /* calls back what is under way */
    claim_free(session->claim);
    store_look_free(session->look);
    free(session);
}

/* --- queries --- */

int session_set_password(struct session *session, const char *password)
{
    return redis_nodes_set_password(session->nodes, password);
}

const char *session_why(const struct session *session)
{
    return session->why;
}

bool session_accepted(const struct session *session)
{
    return session->accepted;
}

const struct store *session_store(const struct session *session)
{
    return &session->store;
}

const char *session_prefix(const struct session *session)
{
    return redis_nodes_prefix(session->nodes);
}

uint64_t session_reconnects(const struct session *session)
{
    return redis_nodes_reconnects(session->nodes);
}

unsigned session_awaited(const struct session *session)
{
    return redis_nodes_awaited(session->nodes);
}

bool session_late(const struct session *session, uint64_t now_ms)
{
    return servers_late(session->servers, now_ms);
}

bool session_ready(const struct session *session, unsigned shard)
{
    const struct node *node = owner(session, shard);
    return session->accepted && node != NULL && node_ready(node) &&
           (session->store.placed >> shard & 1 || session->adopts[shard] ||
            claim_done(session->claim, shard));
}

uint64_t session_generation(const struct session *session, unsigned shard)
{
    return redis_nodes_generation(session->nodes, shard);
}

bool session_adopts(const struct session *session, unsigned shard)
{
    return session->adopts[shard];
}

void session_adopted(struct session *session, unsigned shard)
{
    if (session->adopts[shard]) {
        session->adopts[shard] = false;
        claim_adopted(session->claim, shard);
    }
}

int session_send(struct session *session, unsigned shard, redis_link_cb *fn, void *user, int argc,
                 const char **argv, const size_t *bytes)
{
    return redis_nodes_send(session->nodes, shard, fn, user, argc, argv, bytes);
}

const char *session_script(const struct session *session, unsigned shard)
{
    return node_script(owner(session, shard));
}

bool session_accelerated(const struct session *session, unsigned shard)
{
    return node_accelerated(owner(session, shard));
}

void session_forgot(struct session *session, unsigned shard)
{
    node_forgot(owner(session, shard));
}

bool session_moving(struct session *session, const char *error)
{
    return redis_nodes_moving(session->nodes, error);
}

bool session_cluster(const struct session *session)
{
    return redis_nodes_cluster(session->nodes);
}

bool session_replicates(const struct session *session)
{
    return session->config.durability == NODE_REPLICAS;
}

uint64_t session_moment(const struct session *session, unsigned shard)
{
    return node_moment(owner(session, shard));
}

uint64_t session_replicated(const struct session *session, unsigned shard)
{
    return node_replicated(owner(session, shard));
}

/* --- reports --- */

bool session_up(const struct session *session, unsigned shards)
{
    return redis_nodes_owner(session->nodes, REDIS_PLACE_STORE) >= 0 &&
           servers_away(session->servers, shards) == 0;
}

const char *session_clock_node(const struct session *session)
{
    return servers_clock_node(session->servers);
}

unsigned session_away(const struct session *session, unsigned shards)
{
    return servers_away(session->servers, shards);
}

void session_reason(const struct session *session, unsigned shards, char reason[SESSION_WHY_BYTES])
{
    servers_reason(session->servers, shards, reason, SESSION_WHY_BYTES);
    for (unsigned i = 0; reason[0] == '\0' && i < shards; i++)
        if (session->accepted && !session_ready(session, i) &&
            claim_why(session->claim, i)[0] != '\0')
            snprintf(reason, SESSION_WHY_BYTES, "shard %u: %s", i, claim_why(session->claim, i));
}

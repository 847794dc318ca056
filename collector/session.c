/* Reads tally:store every second, judges what it finds, and knows for each shard whether it is
 * ready. */
#include "session.h"

#include "claim.h"
#include "replica_wait.h"
#include "servers.h"
#include "store_call.h"

#include "core/error.h"
#include "daemon/clock.h"
#include "daemon/log.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000

struct session {
    struct session_config config;
    struct redis_nodes *nodes;
    struct servers *servers;
    struct claim *claim;

    bool accepted;
    bool adopt;
    bool adopts[REDIS_PLACE_STORE];
    struct store store; /* as accepted last */
    struct store found; /* as read last */
    struct replica_wait wait;
    uint64_t said_id; /* the store that was last logged as accepted */
    char why[STORE_WHY_BYTES];
    char error[STORE_WHY_BYTES]; /* of the look under way */

    bool looking, look_again;
    uint64_t looked_ms, generation; /* generation: of the place of tally:store */
};

static struct node *owner(const struct session *session, unsigned place)
{
    return servers_owner(session->servers, place);
}

/* A shard that is to be adopted is not asked before. */
static const struct node *claim_node(void *user, unsigned shard)
{
    const struct session *session = user;
    const struct node *node = owner(session, shard);
    return node != NULL && node_ready(node) && !session->adopts[shard] ? node : NULL;
}

/* About tally:store. */
static void session_ask(struct session *session, redis_link_cb *fn, int argc, const char **argv)
{
    size_t bytes[STORE_CALL_WORDS];
    for (int i = 0; i < argc; i++)
        bytes[i] = strlen(argv[i]);
    session->generation = redis_nodes_generation(session->nodes, REDIS_PLACE_STORE);
    session->looking =
        redis_nodes_send(session->nodes, REDIS_PLACE_STORE, fn, session, argc, argv, bytes) == 0;
}

/* An answer of a former owner, or none, is not to be judged. */
static bool is_current(const struct session *session, const redisReply *answer)
{
    return answer != NULL &&
           session->generation == redis_nodes_generation(session->nodes, REDIS_PLACE_STORE);
}

/* --- the verdict --- */

static void session_hold(struct session *session, const char *why)
{
    session->accepted = false;
    if (strcmp(session->why, why) != 0)
        log_line(LOG_LEVEL_ERROR, "nothing is applied", "reason=%s", why);
    snprintf(session->why, sizeof session->why, "%s", why);
}

static void session_accept(struct session *session, const struct store_rings *rings)
{
    const struct store *store = &session->store;
    session->store = session->found;
    bool adopted = session->adopt &&
                   (rings->of_stores || (rings->applied != 0 && rings->applied != store->id));
    if (adopted || store->id != session->said_id || session->why[0] != '\0')
        log_line(LOG_LEVEL_INFO, adopted ? "store adopted" : "store accepted",
                 "store=%016" PRIx64 " shards=%u split=%u", store->id, store->shards, store->split);
    session->said_id = store->id;
    session->accepted = true;
    session->why[0] = '\0';
    for (unsigned i = 0; session->adopt && i < REDIS_PLACE_STORE; i++)
        session->adopts[i] = true;
    session->adopt = false;
    claim_store(session->claim, store->id, store->shards, store->placed);
    session->config.on_ready(session->config.user, adopted);
}

static void on_script(void *user, const redisReply *answer);

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
    session_ask(session, on_script, call.n, call.word);
    session->wait.needs_wait = true;
}

static void on_replicated(void *user, const redisReply *answer);

/* Returns whether to wait until a replica has what was written. */
static bool wait_for_replica(struct session *session)
{
    const char *words[REPLICA_WAIT_WORDS];
    const struct node *node = owner(session, REDIS_PLACE_STORE);
    if (node == NULL || !replica_wait_due(&session->wait, node_replicas(node), words))
        return false;
    session_ask(session, on_replicated, REPLICA_WAIT_WORDS, words);
    return true;
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
    store_rings_init(&rings);
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
        else /* node_why says why not */
            session->why[0] = '\0';
    }
}

/* --- a look --- */

static void end_look(struct session *session)
{
    if (session->look_again && !session->looking)
        session_look(session);
}

/* The fields of tally:store, or an error. A place that moves has no error of its own: what was
 * accepted holds until it can be read. */
static void take_fields(struct session *session, const redisReply *reply, bool after_script)
{
    session->looking = false;
    if (reply->type != REDIS_REPLY_ARRAY) {
        bool error = reply->type == REDIS_REPLY_ERROR;
        if (!error || !redis_nodes_moving(session->nodes, reply->str)) {
            snprintf(session->error, sizeof session->error, "store: %s",
                     error ? reply->str : "unexpected reply");
            session_hold(session, session->error);
        }
        end_look(session);
        return;
    }
    store_init(&session->found);
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        store_field(&session->found, name->str, (size_t)name->len, value->str, (size_t)value->len);
    }
    session_judge(session, after_script);
    end_look(session);
}

static void on_fields(void *user, const redisReply *answer)
{
    if (is_current(user, answer))
        take_fields(user, answer, false);
}

static void on_script(void *user, const redisReply *answer)
{
    if (is_current(user, answer))
        take_fields(user, answer, true);
}

static void on_replicated(void *user, const redisReply *answer)
{
    struct session *session = user;
    if (!is_current(session, answer))
        return;
    session->looking = false;
    if (replica_wait_answered(&session->wait, answer, session->error))
        session_judge(session, true);
    else if (answer->type != REDIS_REPLY_ERROR || !redis_nodes_moving(session->nodes, answer->str))
        session_hold(session, session->error);
    end_look(session);
}

static void begin_look(struct session *session)
{
    char key[REDIS_KEY_BYTES];
    const char *argv[] = {"HGETALL", key};
    redis_key(key, redis_nodes_prefix(session->nodes), REDIS_PLACE_STORE, NULL);
    session->look_again = false;
    session->looked_ms = clock_monotonic_ms();
    session_ask(session, on_fields, 2, argv);
}

void session_look(struct session *session)
{
    struct store_rings rings;
    struct error why;
    bool away = redis_nodes_owner(session->nodes, REDIS_PLACE_STORE) < 0;
    if (session->accepted) {
        session->found = session->store;
        store_rings_init(&rings);
        session->config.rings(session->config.user, &rings);
        session->accepted = verdict_of(session, &rings, &why) == STORE_SERVE;
        if (session->accepted)
            session->config.on_ready(session->config.user, false);
        else if (away)
            session_hold(session, "store: its node is away, and a new ring must be checked");
    }
    if (session->looking)
        session->look_again = true; /* its answers may be outdated */
    else if (!away)
        begin_look(session);
}

/* Shards that are not known to name the store are asked; tally:store then says that they do. */
static void place_shards(struct session *session, uint64_t now_ms)
{
    struct store_rings rings;
    struct store_call call;
    const struct store *store = &session->store;
    if (!session->accepted || store_placed(store))
        return;
    store_rings_init(&rings);
    session->config.rings(session->config.user, &rings);
    claim_store(session->claim, store->id, store->shards,
                store->placed | (rings.applied == store->id ? rings.applied_shards : 0));
    claim_tick(session->claim, now_ms, store->placed);
    uint64_t settled = claim_settled(session->claim) & ~store->placed;
    if (session->looking || settled == 0)
        return;
    session->found = *store;
    store_call_placed(&call, session_prefix(session), store->id, settled);
    session_ask(session, on_script, call.n, call.word);
}

void session_tick(struct session *session)
{
    uint64_t now = clock_monotonic_ms();
    servers_tick(session->servers, now);
    place_shards(session, now);
    if (!session->looking && now - session->looked_ms >= LOOK_MS)
        begin_look(session);
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
    if (!session->accepted && session->why[0] == '\0' && !session->looking)
        begin_look(session);
}

/* While the node of tally:store is away, the store accepted before holds. */
static void on_place(void *user, unsigned place, bool up)
{
    struct session *session = user;
    if (place != REDIS_PLACE_STORE)
        return;
    session->looking = session->look_again = false;
    if (!session->accepted)
        session->why[0] = '\0';
    if (up)
        begin_look(session);
}

/* --- making and ending --- */

struct session *session_new(struct event_base *base, const struct session_config *config)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->config = *config;
    session->adopt = config->adopt;
    session->wait.optional = config->durability == NODE_SERVICE;
    store_init(&session->store);
    store_init(&session->found);
    const struct servers_config servers = {
        .link = config->link,
        .url = config->url,
        .durability = config->durability,
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
    if (session->nodes == NULL || session->claim == NULL) {
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
    free(session);
}

/* --- what others ask --- */

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

/* --- what is reported --- */

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

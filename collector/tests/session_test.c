/* A session whose servers, nodes and clock the test plays; its claims are real. */
#include "unit.h"

#include "session.h"

#include "servers.h"

#include "daemon/clock.h"
#include "daemon/log.h"
#include "fake_nodes.h"

#define SHARDS 2
#define STORE "9b1d000000000001"
#define STORE_ID 0x9b1d000000000001u
#define LOOK_MS 1000
#define SEEN_MS 30000

static uint64_t clock_ms;

uint64_t clock_monotonic_ms(void)
{
    return clock_ms;
}

uint64_t clock_unix_ms(void)
{
    return clock_ms;
}

/* --- one node has all places --- */

struct node {
    bool ready;
    unsigned replicas;
    uint64_t replicated;
};

static struct node one;

bool node_ready(const struct node *node)
{
    return node->ready;
}

const char *node_script(const struct node *node)
{
    (void)node;
    return "";
}

bool node_accelerated(const struct node *node)
{
    (void)node;
    return false;
}

void node_forgot(struct node *node)
{
    node->ready = false;
}

unsigned node_replicas(const struct node *node)
{
    return node->replicas;
}

uint64_t node_moment(const struct node *node)
{
    (void)node;
    return 1;
}

uint64_t node_replicated(const struct node *node)
{
    return node->replicated;
}

/* --- the servers --- */

static struct servers_config told;
static struct redis_nodes redis;

struct servers *servers_new(struct event_base *base, const struct servers_config *config)
{
    (void)base;
    told = *config;
    return (struct servers *)&told;
}

void servers_free(struct servers *servers)
{
    (void)servers;
    while (redis.n > 0)
        fake_answer(&redis, NULL);
}

void servers_tick(struct servers *servers, uint64_t now_ms)
{
    (void)servers;
    (void)now_ms;
}

bool servers_late(const struct servers *servers, uint64_t now_ms)
{
    (void)servers;
    (void)now_ms;
    return false;
}

struct redis_nodes *servers_nodes(struct servers *servers)
{
    (void)servers;
    return &redis;
}

struct node *servers_owner(const struct servers *servers, unsigned place)
{
    (void)servers;
    return redis_nodes_owner(&redis, place) >= 0 ? &one : NULL;
}

const char *servers_clock_node(const struct servers *servers)
{
    (void)servers;
    return "";
}

unsigned servers_away(const struct servers *servers, unsigned shards)
{
    (void)servers;
    return redis.down ? shards : 0;
}

void servers_reason(const struct servers *servers, unsigned shards, char *reason, size_t bytes)
{
    (void)servers;
    (void)shards;
    snprintf(reason, bytes, "%s", "");
}

/* --- a test's steps --- */

struct world {
    struct session *session;
    struct store_rings rings;
    unsigned described, ready, adopted;
};

static void on_rings(void *user, struct store_rings *out)
{
    struct world *world = user;
    world->described++;
    *out = world->rings;
}

static void on_ready(void *user, bool adopted)
{
    struct world *world = user;
    world->ready++;
    world->adopted += adopted;
}

static void on_clock(void *user, int64_t skew_ms, unsigned off, unsigned n)
{
    (void)user;
    (void)skew_ms;
    (void)off;
    (void)n;
}

static void begin(struct world *world, bool adopt)
{
    log_init("test", LOG_LEVEL_ERROR);
    clock_ms = 5000;
    redis = (struct redis_nodes){.generation = 1};
    one = (struct node){.ready = true};
    *world = (struct world){
        .rings = {.rings = SHARDS, .shards = SHARDS, .key = "5aa94b4a9ae483d0", .kinds = 2}};
    snprintf(world->rings.kind[0], sizeof world->rings.kind[0], "like");
    snprintf(world->rings.kind[1], sizeof world->rings.kind[1], "sad");
    const struct session_config config = {.adopt = adopt,
                                          .rings = on_rings,
                                          .on_ready = on_ready,
                                          .on_clock = on_clock,
                                          .user = world};
    world->session = session_new(NULL, &config);
    assert_non_null(world->session);
    told.on_place(told.user, REDIS_PLACE_STORE, true);
}

/* Answers the oldest command with these fields of tally:store, and returns it. */
static struct fake_sent fields(const char *const *words, size_t n)
{
    redisReply text[24], *element[24];
    assert_true(n <= COUNT_OF(text));
    for (size_t i = 0; i < n; i++) {
        text[i] = (redisReply){.type = REDIS_REPLY_STRING,
                               .str = (char *)(uintptr_t)words[i],
                               .len = strlen(words[i])};
        element[i] = &text[i];
    }
    const redisReply all = {.type = REDIS_REPLY_ARRAY, .elements = n, .element = element};
    return fake_answer(&redis, &all);
}

static struct fake_sent the_store(const char *id, const char *placed)
{
    const char *const words[] = {
        "id",    id,   "format",    "1", "shards",   "2", "key",  "5aa94b4a9ae483d0",
        "split", "64", "kind:like", "1", "kind:sad", "2", placed, "1"};
    return fields(words, COUNT_OF(words));
}

static void error_is(const char *text)
{
    const redisReply error = {.type = REDIS_REPLY_ERROR, .str = (char *)(uintptr_t)text};
    fake_answer(&redis, &error);
}

static void number_is(long long number)
{
    const redisReply reply = {.type = REDIS_REPLY_INTEGER, .integer = number};
    fake_answer(&redis, &reply);
}

static void tick(struct world *world, uint64_t ms)
{
    clock_ms += ms;
    session_tick(world->session);
}

static void asked(size_t i, const char *word)
{
    assert_true(i < redis.n);
    assert_string_equal(redis.sent[i].word[0], word);
}

/* --- tests --- */

static void makes_a_store_where_the_node_is_ready(void **state)
{
    struct world world;
    (void)state;
    begin(&world, false);
    one.ready = false;
    asked(0, "HGETALL");
    fields(NULL, 0);
    assert_int_equal(redis.n, 0);
    assert_string_equal(session_why(world.session), "");
    one.ready = true;
    told.on_looked(told.user);
    fields(NULL, 0);
    asked(0, "EVAL");
    assert_string_equal(redis.sent[0].word[5], "make");
    the_store(redis.sent[0].word[4], "placed");
    assert_true(session_accepted(world.session));
    assert_int_equal(world.ready, 1);
    assert_true(session_ready(world.session, 1));
    session_free(world.session);
}

static void holds_another_store(void **state)
{
    struct world world;
    (void)state;
    for (int adopt = 0; adopt < 2; adopt++) {
        begin(&world, adopt);
        world.rings.applied = STORE_ID + 1;
        the_store(STORE, "placed");
        assert_int_equal(session_accepted(world.session), adopt);
        assert_int_equal(session_ready(world.session, 0), adopt);
        assert_int_equal(session_adopts(world.session, 0), adopt);
        assert_int_equal(world.adopted, adopt);
        assert_int_equal(strstr(session_why(world.session), "--adopt") != NULL, !adopt);
        session_free(world.session);
    }
}

/* A failover may take back what no replica has. */
static void waits_for_a_replica_of_what_it_made(void **state)
{
    struct world world;
    (void)state;
    begin(&world, false);
    one.replicas = 1;
    fields(NULL, 0);
    the_store(redis.sent[0].word[4], "placed");
    asked(0, "WAIT");
    number_is(0);
    assert_false(session_accepted(world.session));
    assert_non_null(strstr(session_why(world.session), "no replica"));
    tick(&world, LOOK_MS);
    asked(0, "HGETALL");
    the_store(STORE, "placed");
    asked(0, "WAIT");
    number_is(1);
    assert_true(session_accepted(world.session));
    tick(&world, LOOK_MS);
    the_store(STORE, "placed");
    assert_int_equal(redis.n, 0); /* nothing was written since */
    session_free(world.session);
}

static void a_former_owners_answer_is_not_judged(void **state)
{
    struct world world;
    (void)state;
    begin(&world, false);
    redis.generation++;
    told.on_place(told.user, REDIS_PLACE_STORE, false);
    told.on_place(told.user, REDIS_PLACE_STORE, true);
    assert_int_equal(redis.n, 2);
    the_store(STORE, "placed");
    assert_false(session_accepted(world.session));
    the_store(STORE, "placed");
    assert_true(session_accepted(world.session));
    session_free(world.session);
}

static void what_was_accepted_holds_while_the_place_is_away(void **state)
{
    struct world world;
    (void)state;
    begin(&world, false);
    the_store(STORE, "placed");
    tick(&world, LOOK_MS);
    error_is("MOVED 1 127.0.0.1:1");
    assert_true(session_ready(world.session, 0));
    told.on_place(told.user, REDIS_PLACE_STORE, false);
    assert_true(session_ready(world.session, 0));
    told.on_place(told.user, REDIS_PLACE_STORE, true);
    error_is("NOPERM x");
    assert_false(session_ready(world.session, 0));
    assert_string_equal(session_why(world.session), "store: NOPERM x");
    tick(&world, LOOK_MS);
    the_store(STORE, "placed");
    assert_true(session_ready(world.session, 0));
    assert_string_equal(session_why(world.session), "");
    session_free(world.session);
}

static void looks_again_after_an_answer_that_may_be_outdated(void **state)
{
    struct world world;
    (void)state;
    begin(&world, false);
    session_look(world.session);
    assert_int_equal(redis.n, 1);
    the_store(STORE, "placed");
    assert_int_equal(redis.n, 1);
    asked(0, "HGETALL");
    the_store(STORE, "placed");
    assert_int_equal(redis.n, 0);
    session_free(world.session);
}

/* The rings are described when a store is judged, and before a shard's new owner is asked. */
static void shards_are_claimed_before_they_are_ready(void **state)
{
    struct world world;
    const redisReply word = {.type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t) "ok"};
    redisReply *const element[] = {(redisReply *)(uintptr_t)&word};
    const redisReply ok = {
        .type = REDIS_REPLY_ARRAY, .elements = 1, .element = (redisReply **)(uintptr_t)element};
    (void)state;
    begin(&world, false);
    one.replicas = 1; /* it does not have the claim yet */
    the_store(STORE, "placed:1");
    assert_true(session_ready(world.session, 1) && !session_ready(world.session, 0));
    tick(&world, 100);
    asked(0, "EVAL");
    assert_string_equal(redis.sent[0].word[7], "new");
    fake_answer(&redis, &ok);
    assert_true(session_ready(world.session, 0));
    unsigned described = world.described;
    tick(&world, 100);
    assert_int_equal(world.described, described);
    world.rings.applied = STORE_ID;
    world.rings.applied_shards = 1;
    redis.generation++;
    told.on_place(told.user, 0, true);
    assert_int_equal(world.described, described + 1);
    assert_false(session_ready(world.session, 0));
    tick(&world, 100);
    asked(0, "HGETALL");
    the_store(STORE, "placed:1");
    tick(&world, 100);
    asked(0, "EVAL");
    assert_string_equal(redis.sent[0].word[7], "known");
    fake_answer(&redis, &ok);
    one.replicated = 1;
    tick(&world, 100);
    asked(0, "EVAL"); /* tally:store is told */
    assert_string_equal(redis.sent[0].word[5], "placed");
    session_free(world.session);
}

/* Another collector may have placed it just before its owner came back empty. */
static void a_new_owner_is_claimed_only_after_a_look(void **state)
{
    struct world world;
    (void)state;
    begin(&world, false);
    the_store(STORE, "placed:1");
    redis.generation++;
    told.on_place(told.user, 0, true);
    tick(&world, 100);
    assert_int_equal(redis.n, 1);
    asked(0, "HGETALL");
    the_store(STORE, "placed");
    tick(&world, 100);
    assert_int_equal(redis.n, 0);
    assert_true(session_ready(world.session, 0));
    session_free(world.session);
}

/* tally forget takes an edge that does not say so for gone. */
static void says_that_its_edge_is_there(void **state)
{
    struct world world;
    (void)state;
    begin(&world, false);
    world.rings.edge = 0x0f3c5a0000000001;
    tick(&world, 0);
    assert_int_equal(redis.n, 1); /* no store is accepted yet */
    the_store(STORE, "placed");
    for (int beat = 0; beat < 2; beat++) {
        tick(&world, 0);
        asked(0, "EVAL");
        assert_string_equal(redis.sent[0].word[5], "seen");
        assert_string_equal(redis.sent[0].word[6], "0f3c5a0000000001");
        the_store(STORE, "placed");
        tick(&world, SEEN_MS - 1);
        asked(0, "HGETALL");
        the_store(STORE, "placed");
        clock_ms++;
    }
    session_free(world.session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_a_store_where_the_node_is_ready),
        cmocka_unit_test(holds_another_store),
        cmocka_unit_test(waits_for_a_replica_of_what_it_made),
        cmocka_unit_test(a_former_owners_answer_is_not_judged),
        cmocka_unit_test(what_was_accepted_holds_while_the_place_is_away),
        cmocka_unit_test(looks_again_after_an_answer_that_may_be_outdated),
        cmocka_unit_test(shards_are_claimed_before_they_are_ready),
        cmocka_unit_test(a_new_owner_is_claimed_only_after_a_look),
        cmocka_unit_test(says_that_its_edge_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

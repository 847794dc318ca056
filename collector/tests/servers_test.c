/* Servers whose looks the test plays. */
#include "unit.h"

#include "servers.h"
#include "status.h"

#include "daemon/log.h"
#include "fake_nodes.h"

#define SHARDS 4
#define REASON_BYTES 256

/* --- what is known of each server --- */

struct node {
    struct node_config config;
    bool ready, full, late, unbounded, clock, clock_bad;
    int64_t skew_ms;
    unsigned replicas;
    uint64_t ticked_ms;
};

static unsigned alive;

struct node *node_new(const struct node_config *config)
{
    struct node *node = calloc(1, sizeof *node);
    assert_non_null(node);
    node->config = *config;
    alive++;
    return node;
}

void node_free(struct node *node)
{
    alive -= node != NULL;
    free(node);
}

void node_tick(struct node *node, uint64_t now_ms)
{
    node->ticked_ms = now_ms;
}

bool node_late(const struct node *node, uint64_t now_ms)
{
    (void)now_ms;
    return node->late;
}

bool node_ready(const struct node *node)
{
    return node->ready;
}

const char *node_why(const struct node *node)
{
    return node->ready ? "" : "redis: no append-only file";
}

bool node_full(const struct node *node)
{
    return node->full;
}

bool node_unbounded(const struct node *node)
{
    return node->unbounded;
}

unsigned node_replicas(const struct node *node)
{
    return node->replicas;
}

bool node_clock(const struct node *node, int64_t *skew_ms, bool *bad)
{
    *skew_ms = node->skew_ms;
    *bad = node->clock_bad;
    return node->clock;
}

/* --- the nodes --- */

static struct redis_nodes redis;
static struct redis_nodes_config told;

struct redis_nodes *redis_nodes_new(struct event_base *base,
                                    const struct redis_nodes_config *config)
{
    (void)base;
    told = *config;
    return &redis;
}

void redis_nodes_free(struct redis_nodes *nodes)
{
    (void)nodes;
}

const char *redis_nodes_why(const struct redis_nodes *nodes, unsigned place)
{
    (void)place;
    return nodes->down ? "no answer for 2 s" : "it is being asked for";
}

const char *redis_nodes_name(const struct redis_nodes *nodes, unsigned node)
{
    static const char *const names[] = {"a:1", "b:2", "c:3"};
    (void)nodes;
    return names[node];
}

/* --- a test's steps --- */

struct world {
    struct servers *servers;
    int64_t skew_ms;
    unsigned looked, off, known, places;
};

static void on_looked(void *user)
{
    struct world *world = user;
    world->looked++;
}

static void on_clock(void *user, int64_t skew_ms, unsigned off, unsigned known)
{
    struct world *world = user;
    world->skew_ms = skew_ms;
    world->off = off;
    world->known = known;
}

static void on_place(void *user, unsigned place, bool up)
{
    struct world *world = user;
    world->places += place == 3 && up;
}

/* Server 0 has the shards 0 and 1 and tally:store, server 1 the others. */
static void begin(struct world *world, enum node_durability durability)
{
    log_init("test", LOG_LEVEL_ERROR);
    *world = (struct world){.known = 99};
    redis = (struct redis_nodes){.owner = {0, 0, 1, 1}};
    const struct servers_config config = {.durability = durability,
                                          .on_looked = on_looked,
                                          .on_clock = on_clock,
                                          .on_place = on_place,
                                          .user = world};
    world->servers = servers_new(NULL, &config);
    assert_non_null(world->servers);
    for (unsigned i = 0; i < 2; i++) {
        told.on_node(told.user, i, true);
        servers_owner(world->servers, 2 * i)->ready = true;
    }
}

static void end(struct world *world)
{
    servers_free(world->servers);
    assert_int_equal(alive, 0);
}

static struct node *of(struct world *world, unsigned server)
{
    return servers_owner(world->servers, 2 * server);
}

static void looked(struct world *world)
{
    const struct node *node = of(world, 0);
    node->config.on_looked(node->config.user);
}

static void reason_is(struct world *world, const char *expected)
{
    char reason[REASON_BYTES];
    servers_reason(world->servers, SHARDS, reason, sizeof reason);
    assert_string_equal(reason, expected);
}

/* --- tests --- */

static void a_server_is_looked_at_while_it_is_there(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_REPLICAS);
    assert_int_equal(alive, 2);
    assert_int_equal(of(&world, 1)->config.number, 1);
    assert_int_equal(of(&world, 1)->config.durability, NODE_REPLICAS);
    servers_tick(world.servers, 77);
    assert_int_equal(of(&world, 0)->ticked_ms, 77);
    assert_int_equal(of(&world, 1)->ticked_ms, 77);
    looked(&world);
    assert_int_equal(world.looked, 1);
    told.on_node(told.user, 1, false);
    assert_int_equal(alive, 1);
    told.on_node(told.user, 0, true); /* another server by that number */
    assert_int_equal(alive, 1);
    assert_false(of(&world, 0)->ready);
    told.on_place(told.user, 3, true);
    assert_int_equal(world.places, 1);
    end(&world);
}

static void one_late_server_is_enough(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_AOF);
    assert_false(servers_late(world.servers, 1));
    of(&world, 1)->late = true;
    assert_true(servers_late(world.servers, 1));
    end(&world);
}

static void the_clock_that_is_furthest_away_counts(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_AOF);
    looked(&world);
    assert_int_equal(world.known, 99); /* nothing is known: nothing is said */
    assert_string_equal(servers_clock_node(world.servers), "");
    *of(&world, 0) = (struct node){.config = of(&world, 0)->config, .clock = true, .skew_ms = 10};
    looked(&world);
    assert_int_equal(world.known, 1);
    of(&world, 1)->clock = of(&world, 1)->clock_bad = true;
    of(&world, 1)->skew_ms = -8000;
    looked(&world);
    assert_int_equal(world.known, 2);
    assert_int_equal(world.off, 1);
    assert_int_equal(world.skew_ms, -8000);
    assert_string_equal(servers_clock_node(world.servers), "b:2");
    of(&world, 1)->skew_ms = 0;
    looked(&world);
    assert_string_equal(servers_clock_node(world.servers), "a:1");
    end(&world);
}

static void a_reason_names_its_shards(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_AOF);
    reason_is(&world, "");
    assert_int_equal(servers_away(world.servers, SHARDS), 0);
    redis.owner[2] = -1;
    reason_is(&world, "shard 2: redis: away: it is being asked for");
    assert_int_equal(servers_away(world.servers, SHARDS), 1);
    redis.owner[2] = 1;
    of(&world, 1)->ready = false;
    reason_is(&world, "shards 2, 3 of 4: redis: no append-only file");
    redis.down = true;
    reason_is(&world, "redis: away: no answer for 2 s");
    assert_int_equal(servers_away(world.servers, SHARDS), SHARDS);
    redis.down = false;
    of(&world, 1)->ready = true;
    redis.owner[REDIS_PLACE_STORE] = -1;
    reason_is(&world, "redis: away: it is being asked for");
    redis.owner[REDIS_PLACE_STORE] = 0;
    of(&world, 0)->full = of(&world, 1)->full = true;
    reason_is(&world, STATUS_FULL);
    end(&world);
}

static void replicas_are_missed_only_where_they_are_counted_on(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_REPLICAS);
    of(&world, 0)->replicas = 1;
    reason_is(&world,
              "shards 2, 3 of 4: redis: no replica, so the rings keep everything until they are "
              "full");
    of(&world, 1)->replicas = 1;
    reason_is(&world, "");
    end(&world);
    begin(&world, NODE_SERVICE);
    reason_is(&world, "");
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_looked_at_while_it_is_there),
        cmocka_unit_test(one_late_server_is_enough),
        cmocka_unit_test(the_clock_that_is_furthest_away_counts),
        cmocka_unit_test(a_reason_names_its_shards),
        cmocka_unit_test(replicas_are_missed_only_where_they_are_counted_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

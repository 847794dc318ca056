#include "unit.h"

#include "node.h"

#include "daemon/clock.h"
#include "fake_nodes.h"

#include <inttypes.h>
#include <stdio.h>

#define LOOK_MS 1000

struct world {
    struct redis_nodes nodes;
    struct node *node;
    unsigned looked;
    const char *persistence, *memory, *replication; /* what INFO says */
    const char *accelerator;                        /* how it replicates; NULL: there is none */
    int64_t ahead_s;                                /* its clock */
};

static void on_looked(void *user)
{
    struct world *world = user;
    world->looked++;
}

static void begin(struct world *world, enum node_durability durability)
{
    *world = (struct world){.persistence = "aof_enabled:1\r\n",
                            .memory = "maxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
                            .replication = "connected_slaves:0\r\nmaster_repl_offset:10\r\n"};
    const struct node_config config = {.nodes = &world->nodes,
                                       .durability = durability,
                                       .accelerates = true,
                                       .on_looked = on_looked,
                                       .user = world};
    world->node = node_new(&config);
    assert_non_null(world->node);
}

static redisReply text_of(const char *text)
{
    return (redisReply){.type = REDIS_REPLY_STRING, .str = (char *)text, .len = strlen(text)};
}

/* Answers all that the look has asked. Returns the commands. */
static unsigned look(struct world *world)
{
    unsigned commands = 0;
    while (world->nodes.n > 0) {
        const char *word = world->nodes.sent[0].word[0], *what = world->nodes.sent[0].word[1];
        char seconds[24];
        redisReply reply = text_of("0123456789012345678901234567890123456789");
        commands++;
        if (strcmp(what, "persistence") == 0)
            reply = text_of(world->persistence);
        else if (strcmp(what, "memory") == 0)
            reply = text_of(world->memory);
        else if (strcmp(what, "replication") == 0)
            reply = text_of(world->replication);
        else if (strcmp(what, "how") == 0 && world->accelerator != NULL)
            reply = text_of(world->accelerator);
        else if (strcmp(what, "how") == 0)
            reply.type = REDIS_REPLY_ERROR;
        if (strcmp(word, "TIME") != 0) {
            fake_answer(&world->nodes, &reply);
            continue;
        }
        int64_t now_ms = (int64_t)clock_unix_ms();
        snprintf(seconds, sizeof seconds, "%" PRId64, now_ms / 1000 + world->ahead_s);
        redisReply second = text_of(seconds), micros = text_of("500000");
        redisReply *elements[] = {&second, &micros};
        const redisReply time = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = elements};
        fake_answer(&world->nodes, &time);
    }
    return commands;
}

static void is_ready_after_a_look(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_AOF);
    assert_false(node_ready(world.node));
    assert_int_equal(look(&world), 6);
    assert_true(node_ready(world.node) && world.looked == 1);
    assert_false(node_accelerated(world.node));
    assert_string_equal(node_why(world.node), "");
    assert_int_equal(strlen(node_script(world.node)), 40);
    node_free(world.node);
}

static void each_durability_demands_its_own(void **state)
{
    static const struct {
        enum node_durability durability;
        bool aof, evicts, ready;
    } cases[] = {
        {NODE_AOF, false, false, false},     {NODE_AOF, true, true, false},
        {NODE_REPLICAS, false, false, true}, {NODE_REPLICAS, true, true, false},
        {NODE_SERVICE, false, true, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world world;
        begin(&world, cases[i].durability);
        world.persistence = cases[i].aof ? "aof_enabled:1\r\n" : "aof_enabled:0\r\n";
        if (cases[i].evicts)
            world.memory = "maxmemory:1\r\nmaxmemory_policy:allkeys-lru\r\n";
        look(&world);
        require(node_ready(world.node) == cases[i].ready, "case %zu: %s", i, node_why(world.node));
        node_free(world.node);
    }
}

/* The n-th look after the first finds this. */
static void look_again(struct world *world, unsigned n, const char *replication)
{
    world->replication = replication;
    node_tick(world->node, clock_monotonic_ms() + n * LOOK_MS);
    look(world);
}

/* What was answered before a look is replicated once a replica reports that look's offset. */
static void knows_what_is_replicated(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_REPLICAS);
    world.replication = "connected_slaves:1\r\nslave0:ip=x,port=1,state=online,offset=5,lag=0\r\n"
                        "master_repl_offset:10\r\n";
    look(&world);
    uint64_t moment = node_moment(world.node);
    assert_true(node_replicas(world.node) == 1 && node_replicated(world.node) < moment);
    look_again(&world, 1,
               "connected_slaves:1\r\nslave0:ip=x,port=1,state=online,offset=10,lag=0\r\n"
               "master_repl_offset:20\r\n");
    assert_true(node_replicated(world.node) < moment);
    look_again(&world, 2,
               "connected_slaves:1\r\nslave0:ip=x,port=1,state=online,offset=20,lag=0\r\n"
               "master_repl_offset:30\r\n");
    assert_true(node_replicated(world.node) >= moment);
    node_free(world.node);
}

#define REPLICA_HAS(offset, id, former)                                                            \
    "connected_slaves:1\r\nslave0:ip=x,port=1,state=online,offset=" offset ",lag=0\r\n"            \
    "master_replid:" id "\r\nmaster_replid2:" former "\r\nmaster_repl_offset:20\r\n"

/* It was a replica for less than a second, so its role was never seen. The offsets of its new
 * history say nothing of what it had answered before. */
static void another_history_replicates_nothing(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_REPLICAS);
    world.replication = REPLICA_HAS("5", "aaaa", "0000");
    look(&world);
    uint64_t moment = node_moment(world.node);
    look_again(&world, 1, world.replication);
    assert_true(world.nodes.resets == 0 && node_replicated(world.node) < moment);
    look_again(&world, 2, REPLICA_HAS("20", "bbbb", "cccc"));
    assert_true(node_replicated(world.node) < moment);
    assert_int_equal(world.nodes.resets, 1);
    node_free(world.node);
}

/* Redis takes another ID as the first replica comes. */
static void a_first_replica_is_no_other_history(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_AOF);
    world.replication = "connected_slaves:0\r\nmaster_replid:aaaa\r\nmaster_replid2:0000\r\n"
                        "master_repl_offset:0\r\n";
    look(&world);
    look_again(&world, 1, REPLICA_HAS("20", "bbbb", "0000"));
    look_again(&world, 2, "connected_slaves:0\r\n"); /* a server that does not say */
    assert_int_equal(world.nodes.resets, 0);
    node_free(world.node);
}

static void a_look_without_an_answer_is_late(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_AOF);
    uint64_t now = clock_monotonic_ms();
    assert_true(node_late(world.node, now + 60));
    look(&world);
    assert_false(node_late(world.node, now + 60000));
    node_free(world.node);
}

static void a_forgotten_script_is_loaded_again(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_AOF);
    look(&world);
    node_forgot(world.node);
    assert_false(node_ready(world.node));
    assert_int_equal(look(&world), 6);
    assert_true(node_ready(world.node));
    node_free(world.node);
}

/* It is asked for at the first look, and again after it was lost. */
static void an_accelerator_is_found_and_lost(void **state)
{
    struct world world;
    (void)state;
    begin(&world, NODE_AOF);
    world.accelerator = "calls";
    look(&world);
    assert_true(node_ready(world.node) && node_accelerated(world.node));
    node_tick(world.node, clock_monotonic_ms() + LOOK_MS);
    assert_true(look(&world) < 6 && node_accelerated(world.node));
    world.accelerator = NULL;
    node_forgot(world.node);
    assert_false(node_accelerated(world.node));
    look(&world);
    assert_true(node_ready(world.node) && !node_accelerated(world.node));
    assert_false(node_accelerated(NULL));
    node_free(world.node);
}

static void compares_the_clock(void **state)
{
    struct world world;
    int64_t skew_ms;
    bool bad;
    (void)state;
    begin(&world, NODE_AOF);
    assert_false(node_clock(world.node, &skew_ms, &bad));
    look(&world);
    assert_true(node_clock(world.node, &skew_ms, &bad) && !bad);
    world.ahead_s = 60;
    node_tick(world.node, clock_monotonic_ms() + LOOK_MS);
    look(&world);
    assert_true(node_clock(world.node, &skew_ms, &bad) && bad);
    assert_true(skew_ms > 50000 && node_ready(world.node));
    node_free(world.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_ready_after_a_look),
        cmocka_unit_test(each_durability_demands_its_own),
        cmocka_unit_test(knows_what_is_replicated),
        cmocka_unit_test(another_history_replicates_nothing),
        cmocka_unit_test(a_first_replica_is_no_other_history),
        cmocka_unit_test(a_look_without_an_answer_is_late),
        cmocka_unit_test(a_forgotten_script_is_loaded_again),
        cmocka_unit_test(an_accelerator_is_found_and_lost),
        cmocka_unit_test(compares_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

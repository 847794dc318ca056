#include "unit.h"

#include "claim.h"

#include "fake_nodes.h"

#define STORE 0x9b1d000000000001
#define SHARDS 3
#define AGAIN_MS 1000

/* The node of every shard. */
struct node {
    unsigned replicas;
    uint64_t moment, replicated;
};

unsigned node_replicas(const struct node *node)
{
    return node->replicas;
}

uint64_t node_moment(const struct node *node)
{
    return node->moment;
}

uint64_t node_replicated(const struct node *node)
{
    return node->replicated;
}

struct world {
    struct redis_nodes nodes;
    struct node node;
    bool ready[SHARDS];
    struct claim *claim;
    uint64_t now_ms;
};

static const struct node *node_of(void *user, unsigned shard)
{
    const struct world *world = user;
    return world->ready[shard] ? &world->node : NULL;
}

static void begin(struct world *world)
{
    *world = (struct world){.ready = {true, true, true}, .now_ms = 5000};
    const struct claim_config config = {.nodes = &world->nodes, .node = node_of, .user = world};
    world->claim = claim_new(&config);
    assert_non_null(world->claim);
    claim_store(world->claim, STORE, SHARDS, 0);
}

static void tick(struct world *world, uint64_t ms)
{
    world->now_ms += ms;
    claim_tick(world->claim, world->now_ms, 0);
}

static struct fake_sent answer(struct world *world, const char *first, const char *second)
{
    redisReply words[2] = {{.type = REDIS_REPLY_STRING, .str = (char *)first},
                           {.type = REDIS_REPLY_STRING, .str = (char *)second}};
    redisReply *elements[] = {&words[0], &words[1]};
    const redisReply reply = {
        .type = REDIS_REPLY_ARRAY, .elements = second != NULL ? 2 : 1, .element = elements};
    return fake_answer(&world->nodes, &reply);
}

static void claims_each_shard_once(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    tick(&world, 0);
    assert_int_equal(world.nodes.n, SHARDS);
    assert_string_equal(world.nodes.sent[1].word[3], "t:{1}:meta");
    assert_string_equal(world.nodes.sent[1].word[6], "9b1d000000000001");
    assert_string_equal(world.nodes.sent[1].word[7], "new");
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_false(claim_done(world.claim, i));
        answer(&world, "ok", NULL);
        assert_true(claim_done(world.claim, i));
    }
    tick(&world, 10 * AGAIN_MS);
    assert_int_equal(world.nodes.n, 0);
    assert_true(claim_settled(world.claim) == 7);
    claim_free(world.claim);
}

/* Once a shard was seen to name the store, it is not given that name again. */
static void does_not_claim_again_what_it_has_seen(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    world.ready[2] = false;
    tick(&world, 0);
    answer(&world, "ok", NULL);
    answer(&world, "ok", NULL);
    assert_true(claim_settled(world.claim) == 3);
    world.nodes.generation++; /* another server has all of them */
    world.ready[2] = true;
    tick(&world, 100);
    assert_int_equal(world.nodes.n, SHARDS);
    assert_string_equal(answer(&world, "store", "gone").word[7], "known");
    assert_string_equal(answer(&world, "ok", NULL).word[7], "known");
    assert_string_equal(answer(&world, "ok", NULL).word[7], "new");
    assert_false(claim_done(world.claim, 0));
    assert_string_equal(claim_why(world.claim, 0), "gone");
    claim_store(world.claim, STORE + 1, SHARDS, 0); /* what was seen was of the other store */
    tick(&world, 100);
    assert_string_equal(answer(&world, "ok", NULL).word[7], "new");
    claim_free(world.claim);
}

static void believes_what_rings_and_store_say(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    claim_store(world.claim, STORE, SHARDS, 1 << 1);
    claim_tick(world.claim, world.now_ms, 1 << 2); /* placed: it is not asked */
    assert_int_equal(world.nodes.n, 2);
    assert_string_equal(answer(&world, "ok", NULL).word[7], "new");
    assert_string_equal(answer(&world, "ok", NULL).word[7], "known");
    claim_free(world.claim);
}

static void waits_for_a_replica(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    world.node = (struct node){.replicas = 1, .moment = 7, .replicated = 6};
    tick(&world, 0);
    for (unsigned i = 0; i < SHARDS; i++)
        answer(&world, "ok", NULL);
    assert_true(claim_done(world.claim, 0) && claim_settled(world.claim) == 0);
    world.nodes.generation++; /* the replica has never had it */
    tick(&world, 100);
    assert_string_equal(answer(&world, "ok", NULL).word[7], "new");
    world.node.replicated = 7;
    assert_true(claim_settled(world.claim) == 1);
    claim_free(world.claim);
}

static void asks_again_a_second_after_a_refusal(void **state)
{
    struct world world;
    const redisReply oom = {.type = REDIS_REPLY_ERROR, .str = (char *)"OOM x"};
    (void)state;
    begin(&world);
    world.ready[1] = world.ready[2] = false;
    tick(&world, 0);
    fake_answer(&world.nodes, &oom);
    assert_string_equal(claim_why(world.claim, 0), "OOM x");
    tick(&world, AGAIN_MS - 1);
    assert_int_equal(world.nodes.n, 0);
    tick(&world, 1);
    assert_int_equal(world.nodes.n, 1);
    answer(&world, "ok", NULL);
    assert_string_equal(claim_why(world.claim, 0), "");
    claim_free(world.claim);
}

static void an_answer_of_a_former_owner_does_not_count(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    world.ready[1] = world.ready[2] = false;
    tick(&world, 0);
    world.nodes.generation++;
    answer(&world, "ok", NULL);
    assert_false(claim_done(world.claim, 0));
    tick(&world, 1);
    assert_int_equal(world.nodes.n, 1);
    fake_answer(&world.nodes, NULL); /* the connection has ended */
    assert_false(claim_done(world.claim, 0));
    claim_free(world.claim);
}

static void an_adopted_shard_is_not_asked(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    world.ready[1] = world.ready[2] = false;
    claim_adopted(world.claim, 0);
    assert_true(claim_done(world.claim, 0));
    tick(&world, AGAIN_MS);
    assert_int_equal(world.nodes.n, 0);
    claim_adopted(world.claim, 1); /* its node is away */
    assert_false(claim_done(world.claim, 1));
    world.nodes.generation++;
    tick(&world, 0);
    assert_int_equal(world.nodes.n, 1);
    claim_free(world.claim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_each_shard_once),
        cmocka_unit_test(does_not_claim_again_what_it_has_seen),
        cmocka_unit_test(believes_what_rings_and_store_say),
        cmocka_unit_test(waits_for_a_replica),
        cmocka_unit_test(an_adopted_shard_is_not_asked),
        cmocka_unit_test(asks_again_a_second_after_a_refusal),
        cmocka_unit_test(an_answer_of_a_former_owner_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

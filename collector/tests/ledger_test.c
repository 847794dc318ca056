#include "unit.h"

#include "core/bytes.h"
#include "ledger.h"

#define EDGE 0x0f3c5a0000000001u
#define ASKED_MAX 64

/* --- a session that only notes what is sent, and answers when it is told to --- */

struct session {
    int unused;
};

struct asked {
    redis_link_cb *fn;
    void *user;
    uint64_t generation;
    char word[8], key[32], ring[20];
};

static struct asked asked[ASKED_MAX];
static size_t n_asked;
static bool ready, sends;
static uint64_t generation;

bool session_ready(const struct session *session, unsigned shard)
{
    (void)session;
    (void)shard;
    return ready;
}

uint64_t session_generation(const struct session *session, unsigned shard)
{
    (void)session;
    (void)shard;
    return generation;
}

const char *session_prefix(const struct session *session)
{
    (void)session;
    return REDIS_KEY_PREFIX;
}

bool session_moving(struct session *session, const char *error)
{
    (void)session;
    return strncmp(error, "MOVED", 5) == 0;
}

int session_send(struct session *session, unsigned shard, redis_link_cb *fn, void *user, int argc,
                 const char **argv, const size_t *bytes)
{
    (void)session;
    (void)shard;
    (void)bytes;
    if (!sends)
        return -1;
    assert_true(n_asked < ASKED_MAX);
    struct asked *one = &asked[n_asked++];
    *one = (struct asked){.fn = fn, .user = user, .generation = generation};
    snprintf(one->word, sizeof one->word, "%s", argv[0]);
    snprintf(one->key, sizeof one->key, "%s", argv[argc == 2 ? 1 : 3]);
    if (argc == 6)
        snprintf(one->ring, sizeof one->ring, "%s", argv[5]);
    return 0;
}

/* --- which rings are here --- */

struct world {
    struct session session;
    struct ledger *ledger;
    bool complete;
    uint64_t here[4];
    uint64_t now_ms;
};

static bool complete(void *user)
{
    const struct world *world = user;
    return world->complete;
}

static bool here(void *user, unsigned shard, uint64_t ring_id)
{
    const struct world *world = user;
    (void)shard;
    for (size_t i = 0; i < COUNT_OF(world->here); i++)
        if (world->here[i] == ring_id)
            return true;
    return false;
}

static void setup(struct world *world)
{
    *world = (struct world){.complete = true, .now_ms = 5000};
    n_asked = 0;
    ready = sends = true;
    generation = 1;
    const struct ledger_config config = {
        .session = &world->session, .complete = complete, .here = here, .user = world};
    world->ledger = ledger_new(&config);
    assert_non_null(world->ledger);
}

/* As in a session, an answer does not survive its generation. */
static void answer(size_t i, const redisReply *reply)
{
    redis_link_cb *fn = asked[i].fn;
    asked[i].fn = NULL;
    fn(asked[i].user, asked[i].generation == generation ? reply : NULL);
}

/* The session ends: what is under way is called back. */
static void end(struct world *world)
{
    sends = false;
    for (size_t i = 0; i < n_asked; i++)
        if (asked[i].fn != NULL)
            answer(i, NULL);
    ledger_free(world->ledger);
}

static void sweep(struct world *world)
{
    ledger_sweep(world->ledger, 1, EDGE, world->now_ms);
}

/* What Redis has: these rings of this edge, and one of another. */
static void answer_rings(size_t i, const char *const *rings, size_t n)
{
    unsigned char position[40] = {0}, foreign[40] = {0};
    redisReply name[8] = {{0}}, value[8] = {{0}};
    redisReply *element[16], reply = {.type = REDIS_REPLY_ARRAY, .element = element};
    bytes_put_u64(position + 32, EDGE);
    bytes_put_u64(foreign + 32, EDGE + 1);
    for (size_t k = 0; k <= n; k++) {
        name[k] = (redisReply){.type = REDIS_REPLY_STRING, .len = 16};
        name[k].str = (char *)(uintptr_t)(k < n ? rings[k] : "00000000000000ff");
        value[k] = (redisReply){.type = REDIS_REPLY_STRING, .len = 40};
        value[k].str = (char *)(k < n ? position : foreign);
        element[2 * k] = &name[k];
        element[2 * k + 1] = &value[k];
    }
    reply.elements = 2 * (n + 1);
    assert_string_equal(asked[i].word, "HGETALL");
    answer(i, &reply);
}

static void assert_folded(size_t i, const char *ring)
{
    assert_string_equal(asked[i].word, "EVAL");
    assert_string_equal(asked[i].key, "tally:{0}:rings");
    assert_string_equal(asked[i].ring, ring);
}

static const char *const two[] = {"00000000000000a1", "00000000000000a2"};

static void test_folds_what_is_gone(void **state)
{
    struct world world;
    (void)state;
    setup(&world);
    world.here[0] = 0xa1;
    world.complete = false;
    sweep(&world);
    assert_int_equal(n_asked, 0);
    world.complete = true;
    ready = false;
    sweep(&world);
    assert_int_equal(n_asked, 0);
    ready = true;
    sweep(&world);
    assert_int_equal(n_asked, 1);
    sweep(&world);
    assert_int_equal(n_asked, 1);
    answer_rings(0, two, 2);
    assert_int_equal(n_asked, 2);
    assert_folded(1, "00000000000000a2");
    redisReply done = {.type = REDIS_REPLY_INTEGER, .integer = 1};
    answer(1, &done);
    for (int i = 0; i < 3; i++) { /* once */
        world.now_ms += 10000;
        sweep(&world);
    }
    assert_int_equal(n_asked, 2);
    end(&world);
}

/* Drained and folded between the question and its answer, which still names it. */
static void test_a_ring_folded_meanwhile_is_not_folded_again(void **state)
{
    struct world world;
    (void)state;
    setup(&world);
    world.here[0] = 0xa1;
    world.here[1] = 0xa2;
    sweep(&world);
    world.here[1] = 0;
    ledger_fold(world.ledger, 0, 0xa2);
    assert_folded(1, "00000000000000a2");
    answer_rings(0, two, 2);
    assert_int_equal(n_asked, 2);
    sweep(&world); /* not at once … */
    assert_int_equal(n_asked, 2);
    world.now_ms += 1000;
    sweep(&world); /* … but again, as the answer was of before */
    assert_int_equal(n_asked, 3);
    answer_rings(2, two, 1);
    world.now_ms += 10000;
    sweep(&world);
    assert_int_equal(n_asked, 3);
    end(&world);
}

/* Renamed between the question and its answer, and not opened yet: it is drained later, and its
 * numbers would be in the books twice. */
static void test_a_ring_that_is_not_known_again_yet_is_not_folded(void **state)
{
    struct world world;
    (void)state;
    setup(&world);
    world.here[0] = 0xa1;
    sweep(&world);
    world.here[0] = 0;
    world.complete = false;
    answer_rings(0, two, 1);
    assert_int_equal(n_asked, 1);
    world.now_ms += 1000;
    sweep(&world);
    assert_int_equal(n_asked, 1);
    world.here[0] = 0xa1;
    world.complete = true;
    sweep(&world);
    assert_int_equal(n_asked, 2);
    answer_rings(1, two, 2);
    assert_int_equal(n_asked, 3);
    assert_folded(2, "00000000000000a2");
    end(&world);
}

static void test_what_was_not_answered_is_asked_again(void **state)
{
    struct world world;
    redisReply error = {.type = REDIS_REPLY_ERROR, .str = (char *)(uintptr_t) "LOADING"};
    redisReply done = {.type = REDIS_REPLY_INTEGER, .integer = 1};
    (void)state;
    setup(&world);
    sends = false;
    sweep(&world);
    sends = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(n_asked, (size_t)i);
        world.now_ms += 1000;
        sweep(&world);
        assert_int_equal(n_asked, (size_t)i + 1);
        if (i < 2)
            answer(i, i == 0 ? NULL : &error);
    }
    answer_rings(2, two, 1);
    assert_folded(3, "00000000000000a1");
    answer(3, NULL); /* the connection ended */
    world.now_ms += 1000;
    sweep(&world);
    answer_rings(4, two, 1);
    assert_folded(5, "00000000000000a1");
    answer(5, &done);
    world.now_ms += 10000;
    sweep(&world);
    assert_int_equal(n_asked, 6);
    end(&world);
}

/* A failover may have taken a fold back; and an answer of a former owner says nothing. */
static void test_another_owner_is_swept_again(void **state)
{
    struct world world;
    redisReply moved = {.type = REDIS_REPLY_ERROR, .str = (char *)(uintptr_t) "MOVED 1 h:1"};
    (void)state;
    setup(&world);
    sweep(&world);
    generation = 2;
    answer_rings(0, two, 1);
    assert_int_equal(n_asked, 1);
    world.now_ms += 1000;
    sweep(&world);
    answer_rings(1, two, 1);
    assert_folded(2, "00000000000000a1");
    answer(2, &moved);
    world.now_ms += 1000;
    sweep(&world);
    answer_rings(3, two, 0);
    world.now_ms += 10000;
    sweep(&world);
    assert_int_equal(n_asked, 4);
    generation = 3;
    sweep(&world);
    assert_int_equal(n_asked, 5);
    answer_rings(4, two, 0);
    end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folds_what_is_gone),
        cmocka_unit_test(test_a_ring_folded_meanwhile_is_not_folded_again),
        cmocka_unit_test(test_a_ring_that_is_not_known_again_yet_is_not_folded),
        cmocka_unit_test(test_what_was_not_answered_is_asked_again),
        cmocka_unit_test(test_another_owner_is_swept_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

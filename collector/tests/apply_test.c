#include "unit.h"

#include "apply.h"
#include "core/bytes.h"

/* --- DESIGN's table "on start or mismatch"; its first row, the store, is store_test.c's --- */

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct apply_ring ring;
        uint64_t position;
        enum apply_rule rule;
        uint64_t start;
    } rows[] = {
        {"a ring that has applied nothing", {false, 0, 640, 0}, 0, APPLY_GO_ON, 0},
        {"an empty one", {false, 0, 0, 0}, 0, APPLY_GO_ON, 0},
        {"no position, same store", {false, 128, 640, 320}, 0, APPLY_OLDEST, 128},
        {"in the ring", {false, 128, 640, 320}, 320, APPLY_GO_ON, 320},
        {"at its oldest record", {false, 128, 640, 128}, 128, APPLY_GO_ON, 128},
        {"at its end", {false, 128, 640, 640}, 640, APPLY_GO_ON, 640},
        {"older than the oldest record", {false, 128, 640, 320}, 64, APPLY_OLDEST, 128},
        {"beyond the end", {false, 128, 640, 640}, 656, APPLY_ROTATE, 128},
        {"Redis went back", {false, 128, 640, 600}, 320, APPLY_GO_ON, 320},
        {"an answer was lost", {false, 128, 640, 256}, 320, APPLY_GO_ON, 256},
        {"what was acknowledged is gone", {false, 128, 640, 64}, 320, APPLY_GO_ON, 320},
        {"an old ring", {true, 128, 640, 320}, 320, APPLY_GO_ON, 320},
        {"an old ring, no position", {true, 128, 640, 320}, 0, APPLY_OLDEST, 128},
        {"an old ring, beyond its end", {true, 128, 640, 640}, 656, APPLY_AGAIN, 128},
        {"an old ring without a record", {true, 0, 0, 0}, 320, APPLY_AGAIN, 0},
        {"an old ring that never had one", {true, 0, 0, 0}, 0, APPLY_GO_ON, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t start = 77;
        enum apply_rule rule = apply_rule(&rows[i].ring, rows[i].position, &start);
        require(rule == rows[i].rule && start == rows[i].start, "%s: rule %d start %d",
                rows[i].name, rule, (int)start);
    }
}

static void test_reads_a_position(void **state)
{
    (void)state;
    unsigned char bytes[40];
    struct apply_position position;
    for (unsigned i = 0; i < 5; i++)
        bytes_put_u64(bytes + (size_t)8 * i, 0x1122334455667700u + i);
    assert_int_equal(apply_read_position(&position, bytes, 40), 0);
    assert_true(position.point.position == 0x1122334455667700u);
    assert_true(position.point.sequence == 0x1122334455667701u);
    assert_true(position.quarantined == 0x1122334455667702u);
    assert_true(position.lost == 0x1122334455667703u);
    assert_true(position.edge == 0x1122334455667704u);
    assert_int_equal(apply_read_position(&position, "", 0), 0);
    assert_true(position.point.position == 0 && position.point.sequence == 0);
    assert_int_equal(apply_read_position(&position, bytes, 39), -1);
    assert_int_equal(apply_read_position(&position, bytes, 16), -1);
}

static void test_judges_errors(void **state)
{
    (void)state;
    static const struct {
        const char *error;
        bool of_record;
        enum apply_answer answer;
    } rows[] = {
        {NULL, false, APPLY_NO_ANSWER},
        {"NOSCRIPT No matching script.", false, APPLY_NO_SCRIPT},
        {"OOM command not allowed when used memory > 'maxmemory'.", true, APPLY_WAIT},
        {"READONLY You can't write against a read only replica.", true, APPLY_WAIT},
        {"LOADING Redis is loading the dataset in memory", false, APPLY_WAIT},
        {"BUSY Redis is busy running a script.", false, APPLY_WAIT},
        {"MASTERDOWN Link with MASTER is down", false, APPLY_WAIT},
        {"CLUSTERDOWN The cluster is down", true, APPLY_WAIT},
        {"NOREPLICAS Not enough good replicas to write.", false, APPLY_WAIT},
        {"MISCONF Redis is configured to save RDB snapshots", true, APPLY_WAIT},
        {"TRYAGAIN Multiple keys request during rehashing of slot", true, APPLY_WAIT},
        {"NOPERM this user has no permissions", true, APPLY_WAIT},
        {"MOVED 3999 127.0.0.1:6381", true, APPLY_WAIT},
        {"ASK 3999 127.0.0.1:6381", true, APPLY_WAIT},
        {"ERR max number of clients reached", false, APPLY_WAIT},
        {"ERR unknown command 'EVALSHA'", false, APPLY_WAIT},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", true, APPLY_POISON},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", false, APPLY_WAIT},
        {"WRONGTYPE Operation against a key holding the wrong kind of value script: f00, on "
         "@user_script:12.",
         false, APPLY_WAIT},
        {"ERR The user executing the script can't run this command or subcommand", true,
         APPLY_WAIT},
        {"ERR ACL failure in script: User x has no permissions to run the 'hsetnx' command", true,
         APPLY_WAIT},
        {"BADHEAD a head of an unknown format", true, APPLY_POISON},
        {"BADREGISTER not 7 bytes", true, APPLY_POISON},
        {"ERR Error running script (call to f_f00): @user_script:12: x", false, APPLY_POISON},
        {"ERR user_script:12: attempt to index a nil value script: f00", false, APPLY_POISON},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        require(apply_judge(rows[i].error, rows[i].of_record) == rows[i].answer, "%s",
                rows[i].error != NULL ? rows[i].error : "NULL");
}

/* --- calls under way: a ring of 64-byte records with sequences from 0, and a Redis whose position
 * is `stored` --- */

struct world {
    struct apply apply;
    struct batch *batch[8]; /* under way, in order */
    int n;
    uint64_t next; /* sequence to be taken next */
    uint64_t now_ms;
};

static void setup(struct world *world)
{
    memset(world, 0, sizeof *world);
    world->now_ms = 1000000;
    apply_init(&world->apply);
    for (size_t i = 0; i < COUNT_OF(world->batch); i++)
        world->batch[i] = batch_new(100, 0);
}

static void teardown(struct world *world)
{
    for (size_t i = 0; i < COUNT_OF(world->batch); i++)
        batch_free(world->batch[i]);
}

static void go(struct world *world, uint64_t stored, uint64_t start)
{
    assert_true(apply_asks(&world->apply, world->now_ms));
    apply_asking(&world->apply);
    assert_false(apply_asks(&world->apply, world->now_ms));
    apply_resume(&world->apply, (struct batch_point){stored * 64, stored}, start * 64, 0);
    world->next = start;
}

static void send(struct world *world, unsigned records)
{
    struct batch *batch = world->batch[world->n++];
    batch_begin(batch, world->apply.point);
    for (size_t i = 0; i < apply_limit(&world->apply, records); i++) {
        struct record record = {.position = world->next * 64,
                                .sequence = world->next,
                                .article = "an-article",
                                .article_bytes = 10};
        if (apply_quarantines(&world->apply, &record))
            assert_true(batch_quarantine(batch, &record));
        else
            assert_true(batch_add(batch, &record, 1));
        world->next++;
    }
    apply_sent(&world->apply, batch_range(batch));
}

static void answer(struct world *world, enum apply_answer what, const char *why)
{
    struct batch *first = world->batch[0];
    apply_answered(&world->apply, what, batch_range(first), why, world->now_ms);
    for (int i = 1; i < world->n; i++)
        world->batch[i - 1] = world->batch[i];
    world->batch[--world->n] = first;
}

static void test_several_calls_follow_each_other(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_false(apply_sends(&world.apply, 4));
    go(&world, 0, 0);
    for (uint64_t i = 0; i < 4; i++) {
        assert_true(apply_sends(&world.apply, 4));
        send(&world, 10);
        assert_int_equal(batch_range(world.batch[i])->from.position, i * 640);
    }
    assert_false(apply_sends(&world.apply, 4));
    answer(&world, APPLY_OK, NULL);
    assert_int_equal(world.apply.acknowledged, 640);
    assert_true(apply_sends(&world.apply, 4));
    teardown(&world);
}

/* No more is sent until all under way is answered; then the position is asked for. */
static void test_a_failure_settles_first(void **state)
{
    (void)state;
    static const enum apply_answer failures[] = {APPLY_ELSEWHERE, APPLY_NO_SCRIPT, APPLY_WAIT,
                                                 APPLY_POISON, APPLY_NO_ANSWER};
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        struct world world;
        setup(&world);
        go(&world, 0, 0);
        send(&world, 10);
        send(&world, 10);
        send(&world, 10);
        answer(&world, APPLY_OK, NULL);
        answer(&world, failures[i], "WHY");
        assert_false(apply_sends(&world.apply, 4));
        assert_false(apply_asks(&world.apply, world.now_ms + APPLY_PAUSE_MAX_MS));
        answer(&world, failures[i] == APPLY_NO_ANSWER ? APPLY_NO_ANSWER : APPLY_ELSEWHERE, NULL);
        assert_false(apply_sends(&world.apply, 4));
        assert_true(apply_asks(&world.apply, world.now_ms + APPLY_PAUSE_MAX_MS));
        assert_int_equal(world.apply.acknowledged, 640);
        teardown(&world);
    }
}

static void test_only_what_may_last_waits(void **state)
{
    (void)state;
    static const struct {
        enum apply_answer answer;
        bool at_once;
        const char *held;
    } rows[] = {
        {APPLY_ELSEWHERE, true, ""}, {APPLY_NO_SCRIPT, true, ""}, {APPLY_NO_ANSWER, true, ""},
        {APPLY_POISON, true, "WHY"}, {APPLY_WAIT, false, "WHY"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world world;
        setup(&world);
        go(&world, 0, 0);
        send(&world, 10);
        answer(&world, rows[i].answer, "WHY");
        assert_int_equal(apply_asks(&world.apply, world.now_ms), rows[i].at_once);
        assert_string_equal(world.apply.held, rows[i].held);
        teardown(&world);
    }
}

/* An audit's pause is not a failure: nothing is held. The shard is looked at again soon, at the
 * latest after APPLY_AUDIT_MAX_MS. */
static void test_an_audit_pauses(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_true(apply_paused_ms(&world.apply, world.now_ms) == UINT64_MAX);
    uint64_t last = 0;
    for (int i = 0; i < 12; i++) {
        go(&world, 0, 0);
        send(&world, 10);
        send(&world, 10);
        answer(&world, APPLY_PAUSED, NULL);
        assert_false(apply_sends(&world.apply, 4));
        assert_true(apply_paused_ms(&world.apply, world.now_ms) == UINT64_MAX);
        answer(&world, APPLY_PAUSED, NULL);
        uint64_t wait_ms = apply_paused_ms(&world.apply, world.now_ms);
        assert_true(wait_ms >= APPLY_AUDIT_MIN_MS && wait_ms <= APPLY_AUDIT_MAX_MS);
        assert_true(wait_ms >= last);
        assert_string_equal(world.apply.held, "");
        assert_int_equal(world.apply.failures, 0);
        assert_false(apply_asks(&world.apply, world.now_ms));
        last = wait_ms;
        world.now_ms += wait_ms;
        assert_int_equal(apply_paused_ms(&world.apply, world.now_ms), 0);
    }
    assert_int_equal(last, APPLY_AUDIT_MAX_MS);
    go(&world, 0, 0);
    send(&world, 10);
    answer(&world, APPLY_OK, NULL);
    assert_true(apply_paused_ms(&world.apply, world.now_ms) == UINT64_MAX);
    assert_int_equal(world.apply.acknowledged, 640);
    teardown(&world);
}

static void test_the_pause_grows_and_ends(void **state)
{
    (void)state;
    struct world world;
    uint64_t last = 0;
    setup(&world);
    for (int i = 0; i < 10; i++) {
        go(&world, 0, 0);
        send(&world, 10);
        answer(&world, APPLY_WAIT, "OOM");
        uint64_t pause = world.apply.wait_until_ms - world.now_ms;
        assert_true(pause == APPLY_PAUSE_MAX_MS ||
                    pause == (last == 0 ? APPLY_PAUSE_MIN_MS : 2 * last));
        assert_true(pause <= APPLY_PAUSE_MAX_MS);
        last = pause;
        world.now_ms += pause;
    }
    assert_int_equal(last, APPLY_PAUSE_MAX_MS);
    go(&world, 0, 0);
    send(&world, 10);
    answer(&world, APPLY_OK, NULL);
    assert_string_equal(world.apply.held, "");
    send(&world, 10);
    answer(&world, APPLY_WAIT, "OOM");
    assert_int_equal(world.apply.wait_until_ms - world.now_ms, APPLY_PAUSE_MIN_MS);
    teardown(&world);
}

/* Two collectors, or a Redis that answers nonsense: not a busy loop. */
static void test_repeated_mismatches_wait(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    go(&world, 0, 0);
    send(&world, 10);
    answer(&world, APPLY_ELSEWHERE, NULL);
    go(&world, 0, 0);
    send(&world, 10);
    answer(&world, APPLY_ELSEWHERE, NULL);
    assert_false(apply_asks(&world.apply, world.now_ms));
    assert_true(apply_asks(&world.apply, world.now_ms + APPLY_PAUSE_MIN_MS));
    teardown(&world);
}

static void test_a_question_may_fail(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    apply_asking(&world.apply);
    apply_ask_failed(&world.apply, NULL, world.now_ms);
    assert_true(apply_asks(&world.apply, world.now_ms));
    apply_asking(&world.apply);
    apply_ask_failed(&world.apply, "LOADING", world.now_ms);
    assert_false(apply_asks(&world.apply, world.now_ms));
    assert_string_equal(world.apply.held, "LOADING");
    teardown(&world);
}

/* A record that cannot be applied is found one by one, tried again, quarantined; then all is as
 * before. */
static void test_poison_is_quarantined(void **state)
{
    (void)state;
    struct world world;
    uint64_t stored = 0;
    int tries = 0;
    setup(&world);
    go(&world, 0, 0);
    send(&world, 10);
    send(&world, 10);
    answer(&world, APPLY_POISON, "WRONGTYPE");
    answer(&world, APPLY_ELSEWHERE, NULL);
    go(&world, 0, 0);
    while (stored < 10) {
        assert_true(apply_sends(&world.apply, 4));
        send(&world, 10);
        assert_false(apply_sends(&world.apply, 4));
        struct batch *batch = world.batch[0];
        assert_int_equal(batch_range(batch)->records + batch_range(batch)->quarantined, 1);
        if (batch_range(batch)->first == 7 * 64 && batch_range(batch)->quarantined == 0) {
            tries++;
            answer(&world, APPLY_POISON, "WRONGTYPE");
            go(&world, stored, stored);
            continue;
        }
        assert_int_equal(batch_range(batch)->quarantined, stored == 7 ? 1 : 0);
        answer(&world, APPLY_OK, NULL);
        stored++;
    }
    assert_int_equal(tries, APPLY_TRIES);
    assert_int_equal(apply_limit(&world.apply, 10), 10);
    assert_string_equal(world.apply.held, "");
    send(&world, 10);
    assert_true(apply_sends(&world.apply, 4));
    teardown(&world);
}

/* A record that failed for a moment is not quarantined. */
static void test_poison_that_passes(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    go(&world, 0, 0);
    send(&world, 2);
    answer(&world, APPLY_POISON, "WRONGTYPE");
    go(&world, 0, 0);
    send(&world, 2);
    answer(&world, APPLY_POISON, "WRONGTYPE");
    go(&world, 0, 0);
    send(&world, 2);
    assert_int_equal(batch_range(world.batch[0])->quarantined, 0);
    answer(&world, APPLY_OK, NULL);
    send(&world, 2);
    answer(&world, APPLY_OK, NULL);
    assert_int_equal(apply_limit(&world.apply, 2), 2);
    teardown(&world);
}

static void test_what_was_not_acknowledged_is_applied_again(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    go(&world, 0, 0);
    send(&world, 10);
    send(&world, 10);
    answer(&world, APPLY_NO_ANSWER, NULL);
    answer(&world, APPLY_NO_ANSWER, NULL);
    assert_int_equal(world.apply.acknowledged, 0);
    /* Redis had applied the first of them. */
    struct apply_ring ring = {false, 0, 1280, world.apply.acknowledged};
    uint64_t start;
    assert_int_equal(apply_rule(&ring, 640, &start), APPLY_GO_ON);
    assert_int_equal(start, 0);
    go(&world, 10, 0);
    send(&world, 15);
    assert_int_equal(batch_range(world.batch[0])->from.position, 640);
    assert_int_equal(batch_range(world.batch[0])->to.position, 960);
    answer(&world, APPLY_OK, NULL);
    assert_int_equal(world.apply.acknowledged, 960);
    teardown(&world);
}

static void test_a_ring_that_is_given_up_stays_so(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    go(&world, 0, 0);
    send(&world, 10);
    apply_rotate(&world.apply, "a damaged record");
    answer(&world, APPLY_OK, NULL);
    assert_false(apply_sends(&world.apply, 4));
    assert_false(apply_asks(&world.apply, world.now_ms + APPLY_PAUSE_MAX_MS));
    teardown(&world);
}

/* A Redis that came back may have lost what it answered for, though nothing waits to be sent. */
static void test_a_lost_connection_causes_a_resync(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    go(&world, 5, 5);
    send(&world, 10);
    answer(&world, APPLY_OK, NULL);
    apply_resync(&world.apply);
    assert_false(apply_sends(&world.apply, 4));
    go(&world, 5, 5);
    send(&world, 10);
    apply_resync(&world.apply); /* with a call under way: its answer first */
    assert_false(apply_asks(&world.apply, world.now_ms));
    answer(&world, APPLY_NO_ANSWER, NULL);
    assert_true(apply_asks(&world.apply, world.now_ms));
    apply_asking(&world.apply);
    apply_resync(&world.apply); /* it is being asked */
    assert_int_equal(world.apply.state, APPLY_ASKING);
    teardown(&world);
}

/* A refusal by a former owner, or the pause it asked for, does not concern the next owner. */
static void test_a_resync_ends_the_backoff(void **state)
{
    (void)state;
    struct apply apply;
    apply_init(&apply);
    for (int i = 0; i < 6; i++) {
        apply_asking(&apply);
        apply_ask_failed(&apply, "TRYAGAIN", 1000);
    }
    assert_false(apply_asks(&apply, 2000));
    apply_resync(&apply);
    assert_true(apply_asks(&apply, 1000));
    apply_asking(&apply);
    apply_ask_failed(&apply, "TRYAGAIN", 1000);
    assert_true(apply_asks(&apply, 1000 + APPLY_PAUSE_MIN_MS));
}

/* Only the record that failed so often, whatever comes first when the ring is gone on with. */
static void test_no_other_record_is_quarantined(void **state)
{
    (void)state;
    struct apply apply;
    struct record record = {.position = 640};
    apply_init(&apply);
    apply.bisect_until = 1280;
    apply.suspect = 640;
    apply.suspect_failures = APPLY_TRIES;
    assert_true(apply_quarantines(&apply, &record));
    for (record.position = 0; record.position < 1280; record.position += 64)
        assert_int_equal(apply_quarantines(&apply, &record), record.position == 640);
    record.position = 640;
    apply.suspect_failures--;
    assert_false(apply_quarantines(&apply, &record));
    apply.suspect_failures++;
    apply.bisect_until = 0;
    assert_false(apply_quarantines(&apply, &record));
}

static void test_what_lay_in_the_ring_is_renewed(void **state)
{
    static const uint64_t ends[] = {11 * 64, 15 * 64,
                                    20 * 64}; /* after a batch's first record, … */
    (void)state;
    for (size_t k = 0; k < COUNT_OF(ends); k++) {
        struct world world;
        setup(&world);
        assert_true(apply_asks(&world.apply, world.now_ms));
        apply_asking(&world.apply);
        apply_resume(&world.apply, (struct batch_point){0, 0}, 0, ends[k]);
        for (int i = 0; i < 3; i++) {
            send(&world, 10); /* from 0, 10, 20 */
            assert_int_equal(apply_renews(&world.apply, batch_range(world.batch[0])), i < 2);
            answer(&world, APPLY_OK, NULL);
        }
        teardown(&world);
    }
}

static void test_who_has_caught_up_is_held_by_nothing(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    assert_true(apply_asks(&world.apply, world.now_ms));
    apply_asking(&world.apply);
    apply_ask_failed(&world.apply, "READONLY", world.now_ms);
    assert_string_equal(world.apply.held, "READONLY");
    world.now_ms += APPLY_PAUSE_MAX_MS;
    go(&world, 0, 0);
    assert_string_equal(world.apply.held, "READONLY");
    apply_caught_up(&world.apply);
    assert_string_equal(world.apply.held, "");
    assert_int_equal(world.apply.failures, 0);
    teardown(&world);
}

/* --- any order of failures: nothing is skipped, nothing moves the position twice --- */

static enum apply_answer redis_runs(uint64_t *random, struct batch *batch,
                                    struct batch_point *stored, bool *seen)
{
    if (batch_range(batch)->from.position != stored->position)
        return APPLY_ELSEWHERE;
    switch (unit_random(random) % 12) {
    case 0:
        return APPLY_WAIT;
    case 1:
        return APPLY_NO_SCRIPT;
    case 2:
        return APPLY_POISON;
    }
    for (uint64_t i = batch_range(batch)->first / 64; i < batch_range(batch)->end.sequence; i++)
        seen[i] = true;
    *stored = batch_range(batch)->to;
    return APPLY_OK;
}

static void test_random_failures_lose_nothing(void **state)
{
    (void)state;
    enum { RECORDS = 400 };
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct world world;
        struct batch_point stored = {0, 0}, before = {0, 0};
        bool seen[RECORDS + 100] = {false};
        uint64_t random = seed, start;
        setup(&world);
        for (int turn = 0; turn < 20000 && stored.sequence < RECORDS; turn++) {
            world.now_ms += 10;
            if (apply_asks(&world.apply, world.now_ms)) {
                struct apply_ring ring = {false, 0, 1u << 20, world.apply.acknowledged};
                assert_int_equal(apply_rule(&ring, stored.position, &start), APPLY_GO_ON);
                go(&world, stored.sequence, start / 64);
            }
            while (apply_sends(&world.apply, 4) && unit_random(&random) % 4 != 0)
                send(&world, 1 + (unsigned)(unit_random(&random) % 20));
            bool cut = unit_random(&random) % 30 == 0;
            while (world.n > 0 && (cut || unit_random(&random) % 2 == 0)) {
                bool reached = !cut || unit_random(&random) % 2 == 0;
                enum apply_answer what =
                    reached ? redis_runs(&random, world.batch[0], &stored, seen) : APPLY_NO_ANSWER;
                assert_true(stored.position >= before.position);
                before = stored;
                answer(&world, cut ? APPLY_NO_ANSWER : what, "WHY");
            }
            require(world.apply.acknowledged <= stored.position, "seed %d", (int)seed);
        }
        require(stored.sequence >= RECORDS, "seed %d: stuck at %d", (int)seed,
                (int)stored.sequence);
        for (uint64_t i = 0; i < stored.sequence; i++)
            require(seen[i], "seed %d: record %d was skipped", (int)seed, (int)i);
        teardown(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_reads_a_position),
        cmocka_unit_test(test_judges_errors),
        cmocka_unit_test(test_several_calls_follow_each_other),
        cmocka_unit_test(test_a_failure_settles_first),
        cmocka_unit_test(test_only_what_may_last_waits),
        cmocka_unit_test(test_an_audit_pauses),
        cmocka_unit_test(test_the_pause_grows_and_ends),
        cmocka_unit_test(test_repeated_mismatches_wait),
        cmocka_unit_test(test_a_question_may_fail),
        cmocka_unit_test(test_poison_is_quarantined),
        cmocka_unit_test(test_poison_that_passes),
        cmocka_unit_test(test_what_was_not_acknowledged_is_applied_again),
        cmocka_unit_test(test_a_ring_that_is_given_up_stays_so),
        cmocka_unit_test(test_a_lost_connection_causes_a_resync),
        cmocka_unit_test(test_a_resync_ends_the_backoff),
        cmocka_unit_test(test_no_other_record_is_quarantined),
        cmocka_unit_test(test_what_lay_in_the_ring_is_renewed),
        cmocka_unit_test(test_who_has_caught_up_is_held_by_nothing),
        cmocka_unit_test(test_random_failures_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

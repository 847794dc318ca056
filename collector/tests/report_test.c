/* The parts that are reported are played by the test; what is refused is judged for real. */
#include "unit.h"

#include "report.h"

#include "spool/spool_consumer.h"

#define SHARDS 4

/* --- the parts --- */

struct spool {
    bool producer;
};

struct session {
    const char *why, *reason;
    unsigned ready, away; /* shards: the first ones */
    struct store store;
};

struct rings {
    const char *reason;
    uint64_t applied;
    unsigned current, full;
};

uint32_t spool_shards(const struct spool *spool)
{
    (void)spool;
    return SHARDS;
}

bool spool_consumer_has_producer(struct spool *spool)
{
    return spool->producer;
}

uint64_t spool_id(const struct spool *spool)
{
    (void)spool;
    return 11;
}

uint64_t spool_admitted(const struct spool *spool)
{
    (void)spool;
    return 22;
}

uint64_t spool_refused(const struct spool *spool, enum reason reason)
{
    (void)spool;
    return 100 + (uint64_t)reason;
}

uint64_t spool_receipts_dropped(const struct spool *spool)
{
    (void)spool;
    return 33;
}

const char *session_why(const struct session *session)
{
    return session->why;
}

bool session_ready(const struct session *session, unsigned shard)
{
    return shard < session->ready;
}

void session_reason(const struct session *session, unsigned shards, char reason[SESSION_WHY_BYTES])
{
    assert_int_equal(shards, SHARDS);
    snprintf(reason, SESSION_WHY_BYTES, "%s", session->reason);
}

const char *session_clock_node(const struct session *session)
{
    (void)session;
    return "b:2";
}

bool session_up(const struct session *session, unsigned shards)
{
    (void)shards;
    return session->away == 0;
}

unsigned session_away(const struct session *session, unsigned shards)
{
    (void)shards;
    return session->away;
}

uint64_t session_reconnects(const struct session *session)
{
    (void)session;
    return 44;
}

const struct store *session_store(const struct session *session)
{
    return &session->store;
}

void rings_describe(const struct rings *rings, struct store_rings *out)
{
    *out = (struct store_rings){.applied = rings->applied};
}

void rings_reason(const struct rings *rings, char *reason, size_t bytes)
{
    snprintf(reason, bytes, "%s", rings->reason);
}

void rings_count_full(const struct rings *rings, uint64_t room_bytes, unsigned *current,
                      unsigned *full)
{
    (void)room_bytes;
    *current = rings->current;
    *full = rings->full;
}

void rings_fill_status(const struct rings *rings, struct status *status)
{
    (void)rings;
    status->shards = SHARDS;
}

/* --- a test's steps --- */

struct world {
    struct spool spool;
    struct session session;
    struct rings rings;
    struct report report;
};

static void begin(struct world *world)
{
    *world = (struct world){
        .spool = {.producer = true},
        .session = {.why = "", .reason = "", .ready = SHARDS, .store = {.id = 55}},
        .rings = {.reason = "", .current = SHARDS},
    };
    world->report = (struct report){.spool = &world->spool,
                                    .session = &world->session,
                                    .rings = &world->rings,
                                    .spool_why = "",
                                    .joined = true};
}

static void reason_is(const struct world *world, const char *expected)
{
    char reason[STATUS_REASON_BYTES];
    report_reason(&world->report, reason);
    assert_string_equal(reason, expected);
}

static struct status filled(const struct world *world)
{
    struct status status = {0};
    report_fill(&world->report, &status);
    return status;
}

static void refuses(const struct world *world, const char *expected)
{
    assert_string_equal(filled(world).refuses, expected);
}

/* --- tests --- */

/* Everything fails at first. Each condition is mended in turn, and the next one is told. */
static void the_first_condition_that_fails_is_told(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    world.report.spool = NULL;
    world.report.clock_bad = true;
    world.report.clock_skew_ms = -8000;
    world.spool.producer = false;
    world.session.why = "store: another";
    world.session.reason = "shard 1: redis: away";
    world.session.ready = 1;
    world.rings.reason = "shard 3: no ring yet";
    reason_is(&world, "spool: not open yet");
    world.report.spool_why = "spool: locked";
    reason_is(&world, "spool: locked");
    world.report.spool = &world.spool;
    reason_is(&world, "broker: away, nobody writes the spool");
    world.spool.producer = true;
    reason_is(&world, "store: another");
    world.session.why = "";
    reason_is(&world, "shard 1: redis: away");
    world.session.reason = "";
    reason_is(&world, "clock: -8000 ms from that of Redis at b:2");
    world.report.clock_bad = false;
    world.report.clocks_off = 1;
    reason_is(&world, "clock: -8000 ms from that of Redis at b:2");
    world.report.clocks_off = 0;
    reason_is(&world, "shard 3: no ring yet");
    world.rings.reason = "";
    reason_is(&world, "redis: being looked at");
    world.report.ready = true; /* a repeated look is none */
    reason_is(&world, "");
    world.report.ready = false;
    world.session.ready = SHARDS;
    reason_is(&world, "");
    assert_int_equal(report_shards_ready(&world.report), SHARDS);
}

static void a_redis_that_is_away_refuses_nobody(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    world.session.away = 2;
    world.session.ready = 0;
    world.session.why = world.session.reason = "redis: away";
    refuses(&world, "");
    assert_false(filled(&world).redis);
    assert_int_equal(filled(&world).redis_away, 2);
    assert_int_equal(filled(&world).store, 0); /* no shard is applied to */
}

static void who_would_not_be_counted_goes_elsewhere(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    world.report.joined = false;
    refuses(&world, "store: none has accepted this edge yet");
    world.session.why = "store: another";
    refuses(&world, "store: another");
    world.rings.applied = 55; /* a store had accepted it before this start */
    refuses(&world, "");
    world.rings.full = 1;
    refuses(&world, "");
    world.rings.full = 2;
    refuses(&world, "spool: 2 of 4 rings are full");
    world.report.clock_bad = true;
    world.report.clock_skew_ms = 2500;
    refuses(&world, "clock: 2500 ms from Redis's");
    world.spool.producer = false;
    refuses(&world, "broker: away, nobody writes the spool");
    world.report.spool = NULL;
    refuses(&world, "spool: not open");
}

static void a_status_has_what_the_parts_say(void **state)
{
    struct world world;
    (void)state;
    begin(&world);
    world.report.ready = true;
    world.report.clock_skew_ms = 7;
    struct status status = filled(&world);
    assert_true(status.ready && status.redis && status.producer);
    assert_int_equal(status.edge, 11);
    assert_int_equal(status.admitted, 22);
    assert_int_equal(status.refusal_receipts_dropped, 33);
    assert_int_equal(status.redis_reconnects, 44);
    assert_int_equal(status.store, 55);
    assert_int_equal(status.clock_skew_ms, 7);
    assert_int_equal(status.shards, SHARDS);
    for (unsigned i = 0; i < REASON_COUNT; i++)
        assert_int_equal(status.refused[i], 100 + i);
    world.report.spool = NULL;
    assert_int_equal(filled(&world).edge, 0);
    assert_int_equal(filled(&world).shards, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_condition_that_fails_is_told),
        cmocka_unit_test(a_redis_that_is_away_refuses_nobody),
        cmocka_unit_test(who_would_not_be_counted_goes_elsewhere),
        cmocka_unit_test(a_status_has_what_the_parts_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "daemon/events.h"
#include "daemon/log.h"
#include "redis/redis_nodes.h"
#include "redis_servers.h"

struct world {
    struct event_base *base;
    struct servers all;
    struct redis_nodes *nodes;
    struct event *limit;
    bool late;
    /* What the nodes announced, and what was called back. */
    int up[REDIS_PLACES], ups, downs, node_up[REDIS_NODES_MAX];
    unsigned answers, nulls, from;
    uint64_t null_generation; /* of place 0, when its command was called back with NULL */
    unsigned subscribed[REDIS_PLACES], messages;
};

/* --- what the nodes call --- */

static void on_node(void *user, unsigned node, bool up)
{
    struct world *world = user;
    assert_int_not_equal(world->node_up[node], up);
    world->node_up[node] = up;
    assert_int_equal(redis_nodes_up(world->nodes, node), up);
}

static void on_place(void *user, unsigned place, bool up)
{
    struct world *world = user;
    assert_int_not_equal(world->up[place], up);
    world->up[place] = up;
    world->ups += up;
    world->downs += !up;
    assert_int_equal(redis_nodes_owner(world->nodes, place) >= 0, up);
    if (up)
        assert_true(world->node_up[redis_nodes_owner(world->nodes, place)]);
}

static void on_reply(void *user, const redisReply *reply)
{
    struct world *world = user;
    if (reply == NULL) {
        world->nulls++;
        world->null_generation = redis_nodes_generation(world->nodes, 0);
        return;
    }
    world->answers++;
    world->from = (unsigned)reply->integer;
    if (reply->type == REDIS_REPLY_ERROR)
        assert_true(redis_nodes_moving(world->nodes, reply->str));
}

static void on_message(void *user, const redisReply *reply)
{
    struct world *world = user;
    world->messages += reply->type == REDIS_REPLY_ARRAY;
}

static void on_subscribe(void *user, struct redis_link *link, unsigned place)
{
    struct world *world = user;
    const char *words[] = {"SSUBSCRIBE", "x"};
    const size_t bytes[] = {10, 1};
    world->subscribed[place]++;
    assert_int_equal(redis_link_send(link, NULL, NULL, 2, words, bytes), 0);
}

static void on_limit(evutil_socket_t fd, short what, void *user)
{
    struct world *world = user;
    (void)fd;
    (void)what;
    world->late = true;
}

/* --- a test's steps --- */

/* Three primaries, which share the places out in turns; 3 and 4 are replicas. */
static struct world *begin(enum kind kind)
{
    struct world *world = calloc(1, sizeof *world);
    log_init("test", LOG_LEVEL_ERROR);
    world->base = event_base_new();
    servers_begin(&world->all, world->base);
    for (unsigned i = 0; i < SERVERS; i++) {
        struct server *server = &world->all.server[i];
        server->kind = kind;
        server->epoch = 5;
        server->replica = kind == CLUSTERED && i >= 3;
        for (unsigned place = 0; place < REDIS_PLACES; place++)
            server->owner[place] = place % 3;
    }
    world->limit = evtimer_new(world->base, on_limit, world);
    events_arm(world->limit, 60000);
    return world;
}

static void all_say(struct world *world, unsigned place, unsigned owner, unsigned epoch)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        world->all.server[i].owner[place] = owner;
        world->all.server[i].epoch = epoch;
    }
}

static void start(struct world *world, const char *scheme, const char *name, unsigned first,
                  unsigned n)
{
    struct redis_url url = {
        .kind = strcmp(scheme, "sentinel") == 0 ? REDIS_URL_SENTINEL : REDIS_URL_ONE, .seeds_n = n};
    snprintf(url.name, sizeof url.name, "%s", name);
    for (unsigned i = 0; i < n; i++) {
        snprintf(url.seeds[i].host, sizeof url.seeds[i].host, "127.0.0.1");
        url.seeds[i].port = world->all.server[(first + i) % SERVERS].port;
    }
    const struct redis_nodes_config config = {
        .link = {.host = url.seeds[0].host, .port = url.seeds[0].port},
        .url = &url,
        .on_node = on_node,
        .on_place = on_place,
        .on_message = on_message,
        .on_subscribe = on_subscribe,
        .user = world};
    world->nodes = redis_nodes_new(world->base, &config);
    assert_non_null(world->nodes);
}

#define UNTIL(world, condition)                                                                    \
    do {                                                                                           \
        while (!(condition) && !(world)->late)                                                     \
            event_base_loop((world)->base, EVLOOP_ONCE);                                           \
        assert_true(condition);                                                                    \
    } while (0)

static unsigned ups(const struct world *world)
{
    unsigned n = 0;
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        n += world->up[place] == 1;
    return n;
}

static void ask(struct world *world, unsigned place)
{
    const char *words[] = {"GET", "x"};
    const size_t bytes[] = {3, 1};
    assert_int_equal(redis_nodes_send(world->nodes, place, on_reply, world, 2, words, bytes), 0);
}

static void ask_node(struct world *world, unsigned node)
{
    const char *words[] = {"GET", "x"};
    const size_t bytes[] = {3, 1};
    assert_int_equal(redis_nodes_send_node(world->nodes, node, on_reply, world, 2, words, bytes),
                     0);
}

/* Which server answers for the place. */
static unsigned at(struct world *world, unsigned place)
{
    unsigned answers = world->answers;
    ask(world, place);
    UNTIL(world, world->answers == answers + 1);
    return world->from;
}

static void stop_world(struct world *world)
{
    unsigned told = world->ups + world->downs;
    redis_nodes_free(world->nodes);
    assert_int_equal(world->ups + world->downs, told);
    for (unsigned i = 0; i < SERVERS; i++)
        server_die(&world->all.server[i]);
    event_free(world->limit);
    event_base_free(world->base);
    free(world);
}

/* The places of a server that others took over have risen; no other has. */
static void only_those_of(const struct world *world, unsigned server, uint64_t generation)
{
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        assert_int_equal(redis_nodes_generation(world->nodes, place),
                         place % 3 == server ? generation : 1);
}

/* --- tests --- */

static void one_redis_owns_all(void **state)
{
    struct world *world = begin(ALONE);
    (void)state;
    start(world, "", "", 0, 1);
    assert_string_not_equal(redis_nodes_why(world->nodes, 3), "");
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_string_equal(redis_nodes_why(world->nodes, 3), "");
    assert_false(redis_nodes_cluster(world->nodes));
    assert_int_equal(redis_nodes_generation(world->nodes, 3), 1);
    assert_int_equal(at(world, 3), 0);
    redis_nodes_reset(world->nodes, 3, "test");
    UNTIL(world, world->downs == REDIS_PLACES && ups(world) == REDIS_PLACES);
    assert_int_equal(redis_nodes_generation(world->nodes, 3), 3);
    assert_int_equal(redis_nodes_reconnects(world->nodes), 1);
    redis_nodes_reset_node(world->nodes, (unsigned)redis_nodes_owner(world->nodes, 3), "test");
    UNTIL(world, world->downs == 2 * REDIS_PLACES && ups(world) == REDIS_PLACES);
    assert_int_equal(redis_nodes_generation(world->nodes, 3), 5);
    stop_world(world);
}

static void each_place_has_its_owner(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 1);
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_true(redis_nodes_cluster(world->nodes));
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        assert_int_equal(at(world, place), place % 3);
    only_those_of(world, 0, 1);
    UNTIL(world, world->messages >= REDIS_PLACE_STORE);
    stop_world(world);
}

static void follows_a_failover(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 3);
    UNTIL(world, ups(world) == REDIS_PLACES && world->messages >= REDIS_PLACE_STORE);
    world->all.server[0].hung = true; /* so that the command is under way when it dies */
    ask(world, 0);
    event_base_loop(world->base, EVLOOP_NONBLOCK);
    server_die(&world->all.server[0]);
    UNTIL(world, world->downs == 22);
    assert_int_equal(world->nulls, 1);
    assert_int_equal(world->null_generation, 1); /* called back before the place was down */
    assert_int_equal(at(world, 1), 1);
    world->all.server[3].replica = false;
    for (unsigned place = 0; place < REDIS_PLACES; place += 3)
        all_say(world, place, 3, 6);
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 0), 3);
    only_those_of(world, 0, 3);
    UNTIL(world, world->subscribed[0] == 2);
    assert_int_equal(world->subscribed[1], 1);
    stop_world(world);
}

/* It accepts, and says nothing: no connection ends by itself. */
static void leaves_a_hung_former_owner(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 3);
    UNTIL(world, ups(world) == REDIS_PLACES);
    world->all.server[2].hung = true;
    ask(world, 2);
    world->all.server[4].replica = false;
    for (unsigned place = 2; place < REDIS_PLACES; place += 3)
        all_say(world, place, 4, 6);
    UNTIL(world, world->nulls == 1 && ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 2), 4);
    only_those_of(world, 2, 3);
    assert_int_equal(redis_nodes_awaited(world->nodes), 0);
    assert_int_equal(redis_nodes_timeouts(world->nodes), 0); /* it was left before that */
    stop_world(world);
}

static void subscribes_again_over_another_connection(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 1);
    UNTIL(world, ups(world) == REDIS_PLACES && world->messages >= REDIS_PLACE_STORE);
    server_drop_subscriber(&world->all.server[1]);
    UNTIL(world, world->subscribed[1] == 2 && world->subscribed[4] == 2);
    assert_int_equal(world->subscribed[0], 1);
    only_those_of(world, 1, 1); /* nothing else has happened to its places */
    stop_world(world);
}

/* With separate pauses it would subscribe up to half a second after its place was up. */
static void subscribes_only_where_a_node_is_up(void **state)
{
    struct world *world = begin(CLUSTERED);
    struct server *away = &world->all.server[1];
    (void)state;
    away->replica = true;
    start(world, "", "", 0, 1);
    UNTIL(world, away->connections >= 3);
    assert_int_equal(away->at_once, 1);
    away->replica = false;
    UNTIL(world, ups(world) == REDIS_PLACES && world->messages >= REDIS_PLACE_STORE);
    assert_int_equal(away->at_once, 2);
    stop_world(world);
}

/* A server ends the subscription to a shard that leaves it, and tells nobody else. */
static void subscribes_again_where_a_place_returns(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    server_die(&world->all.server[3]);
    start(world, "", "", 0, 1);
    UNTIL(world, ups(world) == REDIS_PLACES && world->messages >= REDIS_PLACE_STORE);
    all_say(world, 3, 3, 6);
    UNTIL(world, world->downs == 1);
    all_say(world, 3, 0, 7);
    UNTIL(world, ups(world) == REDIS_PLACES && world->subscribed[3] == 2);
    assert_int_equal(world->subscribed[0], 1);
    stop_world(world);
}

static void follows_one_slot(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 1);
    UNTIL(world, ups(world) == REDIS_PLACES && world->messages >= REDIS_PLACE_STORE);
    all_say(world, 3, 1, 6);
    world->all.server[0].answer = "-MOVED 1584 127.0.0.1:1\r\n";
    ask(world, 3);
    UNTIL(world, redis_nodes_generation(world->nodes, 3) == 3);
    assert_int_equal(at(world, 3), 1);
    world->all.server[0].answer = NULL;
    assert_int_equal(at(world, 0), 0); /* the former owner still has the others */
    assert_int_equal(redis_nodes_generation(world->nodes, 0), 1);
    UNTIL(world, world->subscribed[3] == 2);
    stop_world(world);
}

/* It answers when the place has another owner already. What it did may be lost, so its answer does
 * not count. What was asked of the node itself is answered all the same. */
static void a_former_owners_answer_does_not_come(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 1);
    UNTIL(world, ups(world) == REDIS_PLACES);
    int owner = redis_nodes_owner(world->nodes, 3);
    world->all.server[0].holds = true;
    ask(world, 3);
    ask(world, 0);
    ask_node(world, (unsigned)owner);
    UNTIL(world, world->all.server[0].held != NULL);
    all_say(world, 3, 1, 6);
    assert_true(redis_nodes_moving(world->nodes, "MOVED 1584 127.0.0.1:1"));
    UNTIL(world, redis_nodes_generation(world->nodes, 3) == 3);
    assert_int_equal(world->answers + world->nulls, 0);
    server_let_go(&world->all.server[0]);
    UNTIL(world, world->answers + world->nulls == 3);
    assert_int_equal(world->nulls, 1);
    assert_int_equal(world->answers, 2); /* of place 0, which it still has, and of the node */
    stop_world(world);
}

/* A server that was cut off still claims the slots that it had. */
static void believes_the_higher_epoch(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 1);
    UNTIL(world, ups(world) == REDIS_PLACES);
    for (unsigned i = 1; i < SERVERS; i++) {
        world->all.server[i].owner[3] = 1;
        world->all.server[i].epoch = 6;
    }
    UNTIL(world, redis_nodes_generation(world->nodes, 3) == 3);
    /* The one that is behind is asked twice more; the second time, the first answer has come. */
    unsigned asked = 0;
    world->all.server[0].asked = &asked;
    UNTIL(world, asked >= 2);
    assert_int_equal(redis_nodes_generation(world->nodes, 3), 3);
    assert_int_equal(at(world, 3), 1);
    stop_world(world);
}

static void needs_only_one_seed_that_lives(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    server_die(&world->all.server[0]);
    for (unsigned place = 0; place < REDIS_PLACES; place += 3)
        all_say(world, place, 1, 6);
    start(world, "", "", 3, 3); /* two replicas, and a dead one */
    server_die(&world->all.server[3]);
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 0), 1);
    stop_world(world);
}

static void a_replica_may_be_the_only_seed(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 3, 1);
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 2), 2);
    stop_world(world);
}

static void a_node_may_come_back_elsewhere(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 1);
    UNTIL(world, ups(world) == REDIS_PLACES);
    server_die(&world->all.server[0]);
    UNTIL(world, world->downs == 22);
    server_live(&world->all.server[0]);
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 0), 0);
    stop_world(world);
}

/* All at once, at addresses that were no seeds. */
static void finds_the_cluster_again(void **state)
{
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 1);
    UNTIL(world, ups(world) == REDIS_PLACES);
    for (unsigned i = 0; i < 3; i++)
        server_die(&world->all.server[i]);
    UNTIL(world, ups(world) == 0);
    for (unsigned i = 0; i < 3; i++)
        server_live(&world->all.server[i]);
    UNTIL(world, ups(world) == REDIS_PLACES); /* through server 4, known as a replica */
    stop_world(world);
}

static void takes_the_primary_among_several(void **state)
{
    struct world *world = begin(ALONE);
    (void)state;
    world->all.server[0].replica = world->all.server[1].replica = true;
    start(world, "", "", 0, 3);
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 5), 2);
    assert_false(redis_nodes_cluster(world->nodes));
    stop_world(world);
}

static void takes_whom_the_sentinels_name(void **state)
{
    struct world *world = begin(ALONE);
    (void)state;
    for (unsigned i = 2; i < SERVERS; i++) {
        world->all.server[i].kind = SENTINEL;
        world->all.server[i].owner[0] = 0;
    }
    start(world, "sentinel", "tally", 2, 3);
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 5), 0);
    /* One of the three is behind for good. */
    world->all.server[0].hung = true;
    ask(world, 5);
    for (unsigned i = 2; i < 4; i++) {
        world->all.server[i].owner[0] = 1;
        world->all.server[i].epoch = 6;
    }
    UNTIL(world, world->nulls == 1 && ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 5), 1);
    world->all.server[0].hung = false;
    uint64_t generation = redis_nodes_generation(world->nodes, 5);
    server_die(&world->all.server[2]);
    server_die(&world->all.server[1]);
    UNTIL(world, ups(world) == 0);
    server_live(&world->all.server[1]);
    UNTIL(world, ups(world) == REDIS_PLACES);
    assert_int_equal(at(world, 5), 1);
    assert_int_equal(redis_nodes_generation(world->nodes, 5), generation + 2);
    stop_world(world);
}

static void knows_the_errors_of_a_move(void **state)
{
    static const char *const moving[] = {
        "MOVED 1584 127.0.0.1:7001", "ASK 1584 127.0.0.1:7001",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "CLUSTERDOWN Hash slot not served",
        "ERR Script attempted to access a non local key in a cluster node script: 1, on @user:1."};
    static const char *const staying[] = {"ERR x", "OOM x", "MOVEDISH x", "NOSCRIPT x", "BUSY x"};
    struct world *world = begin(CLUSTERED);
    (void)state;
    start(world, "", "", 0, 1);
    for (size_t i = 0; i < COUNT_OF(moving); i++)
        assert_true(redis_nodes_moving(world->nodes, moving[i]));
    for (size_t i = 0; i < COUNT_OF(staying); i++)
        assert_false(redis_nodes_moving(world->nodes, staying[i]));
    assert_false(redis_nodes_moving(world->nodes, NULL));
    stop_world(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_redis_owns_all),
        cmocka_unit_test(each_place_has_its_owner),
        cmocka_unit_test(follows_a_failover),
        cmocka_unit_test(leaves_a_hung_former_owner),
        cmocka_unit_test(subscribes_again_over_another_connection),
        cmocka_unit_test(subscribes_again_where_a_place_returns),
        cmocka_unit_test(subscribes_only_where_a_node_is_up),
        cmocka_unit_test(follows_one_slot),
        cmocka_unit_test(a_former_owners_answer_does_not_come),
        cmocka_unit_test(believes_the_higher_epoch),
        cmocka_unit_test(needs_only_one_seed_that_lives),
        cmocka_unit_test(a_replica_may_be_the_only_seed),
        cmocka_unit_test(a_node_may_come_back_elsewhere),
        cmocka_unit_test(finds_the_cluster_again),
        cmocka_unit_test(takes_the_primary_among_several),
        cmocka_unit_test(takes_whom_the_sentinels_name),
        cmocka_unit_test(knows_the_errors_of_a_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

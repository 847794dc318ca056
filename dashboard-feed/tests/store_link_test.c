/* The store that is followed and its shards, with servers that the test plays. */
#include "unit.h"

#include "redis/redis_nodes.h"
#include "store_link.h"
#include "store_reply.h"

#include <stdlib.h>

#define FIRST "00000000000000aa"
#define OTHER "00000000000000bb"
#define SHARDS 4
#define SENT_MAX 32

/* ---- the servers ---- */

/* A command that was not replied to. */
struct sent {
    unsigned place; /* REDIS_PLACES: sent to a node */
    uint64_t generation;
    redis_link_cb *callback;
    void *user;
    char text[64]; /* its words */
};

static struct {
    struct redis_nodes_config config;
    int owner[REDIS_PLACES];
    uint64_t generation[REDIS_PLACES];
    char reset[80]; /* the place, and why */
    unsigned moves; /* answers that said so */
    struct sent sent[SENT_MAX];
    size_t n;
} redis;

struct redis_nodes *redis_nodes_new(struct event_base *base,
                                    const struct redis_nodes_config *config)
{
    (void)base;
    redis.config = *config;
    return (struct redis_nodes *)&redis;
}

void redis_nodes_free(struct redis_nodes *nodes)
{
    (void)nodes;
    while (redis.n > 0) {
        const struct sent one = redis.sent[--redis.n];
        one.callback(one.user, NULL);
    }
}

int redis_nodes_owner(const struct redis_nodes *nodes, unsigned place)
{
    (void)nodes;
    return redis.owner[place];
}

uint64_t redis_nodes_generation(const struct redis_nodes *nodes, unsigned place)
{
    (void)nodes;
    return redis.generation[place];
}

const char *redis_nodes_why(const struct redis_nodes *nodes, unsigned place)
{
    (void)nodes;
    return redis.owner[place] < 0 ? "the server is away" : "";
}

const char *redis_nodes_prefix(const struct redis_nodes *nodes)
{
    (void)nodes;
    return REDIS_KEY_PREFIX;
}

uint64_t redis_nodes_timeouts(const struct redis_nodes *nodes)
{
    (void)nodes;
    return 0;
}

uint64_t redis_nodes_reconnects(const struct redis_nodes *nodes)
{
    (void)nodes;
    return 0;
}

int redis_nodes_set_password(struct redis_nodes *nodes, const char *password)
{
    (void)nodes;
    (void)password;
    return 0;
}

void redis_nodes_reset(struct redis_nodes *nodes, unsigned place, const char *why)
{
    (void)nodes;
    snprintf(redis.reset, sizeof redis.reset, "%u %s", place, why);
}

bool redis_nodes_moving(struct redis_nodes *nodes, const char *error)
{
    (void)nodes;
    bool moving = error != NULL && strncmp(error, "MOVED", 5) == 0;
    redis.moves += moving;
    return moving;
}

static int send_any(unsigned place, redis_link_cb *fn, void *user, int argc, const char **argv,
                    const size_t *bytes)
{
    struct sent *one = &redis.sent[redis.n];
    assert_true(redis.n < SENT_MAX);
    *one = (struct sent){.place = place, .callback = fn, .user = user};
    if (place < REDIS_PLACES)
        one->generation = redis.generation[place];
    for (int i = 0; i < argc; i++) {
        size_t used = strlen(one->text);
        snprintf(one->text + used, sizeof one->text - used, "%s%.*s", i > 0 ? " " : "",
                 (int)bytes[i], argv[i]);
    }
    redis.n++;
    return 0;
}

int redis_nodes_send(struct redis_nodes *nodes, unsigned place, redis_link_cb *fn, void *user,
                     int argc, const char **argv, const size_t *bytes)
{
    (void)nodes;
    return redis.owner[place] < 0 ? -1 : send_any(place, fn, user, argc, argv, bytes);
}

int redis_nodes_send_node(struct redis_nodes *nodes, unsigned node, redis_link_cb *fn, void *user,
                          int argc, const char **argv, const size_t *bytes)
{
    (void)nodes;
    (void)node;
    return send_any(REDIS_PLACES, fn, user, argc, argv, bytes);
}

/* Replies to the oldest command that begins with these words. As in redis_nodes, the reply to one
 * about a place does not survive its generation. */
static void reply(const char *text, const redisReply *with)
{
    size_t i = 0;
    while (i < redis.n && strncmp(redis.sent[i].text, text, strlen(text)) != 0)
        i++;
    assert_true(i < redis.n);
    const struct sent one = redis.sent[i];
    memmove(&redis.sent[i], &redis.sent[i + 1], (--redis.n - i) * sizeof one);
    bool late = one.place < REDIS_PLACES && one.generation != redis.generation[one.place];
    one.callback(one.user, late ? NULL : with);
}

static bool is_sent(const char *text)
{
    for (size_t i = 0; i < redis.n; i++)
        if (strcmp(redis.sent[i].text, text) == 0)
            return true;
    return false;
}

/* ---- the link ---- */

static struct event_base *base;
static struct store_link *store;
static char told[64]; /* R ready, A away; +2, -2 a shard */

static void tell(const char *what)
{
    assert_true(strlen(told) + strlen(what) < sizeof told);
    strcat(told, what);
}

static void on_ready(void *user)
{
    (void)user;
    assert_true(store_link_ready(store));
    tell("R");
}

static void on_away(void *user)
{
    (void)user;
    assert_false(store_link_ready(store));
    tell("A");
}

static void on_shard(void *user, uint32_t shard, bool ready)
{
    char what[8];
    (void)user;
    assert_int_equal(store_link_shard_ready(store, shard), ready);
    snprintf(what, sizeof what, "%c%u", ready ? '+' : '-', (unsigned)shard);
    tell(what);
}

static int setup(void **state)
{
    const struct store_link_config config = {
        .redis.host = "redis", .on_ready = on_ready, .on_away = on_away, .on_shard = on_shard};
    (void)state;
    memset(&redis, 0, sizeof redis);
    memset(told, 0, sizeof told);
    for (unsigned i = 0; i < REDIS_PLACES; i++)
        redis.owner[i] = -1;
    base = event_base_new();
    store = base == NULL ? NULL : store_link_new(base, &config);
    return store == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    store_link_free(store);
    event_base_free(base);
    return 0;
}

static void says(const char *what)
{
    assert_string_equal(told, what);
    memset(told, 0, sizeof told);
}

/* A server is there, in this run, and learns the script for reading. */
static void node_up(unsigned node, const char *run)
{
    char text[64];
    redisReply info = {.type = REDIS_REPLY_STRING, .str = text};
    redisReply sha1 = {.type = REDIS_REPLY_STRING, .str = (char *)"0123"};
    snprintf(text, sizeof text, "# Server\r\nrun_id:%s\r\nmaster_replid:r\r\n", run);
    redis.config.on_node(redis.config.user, node, true);
    reply("INFO", &info);
    reply("SCRIPT LOAD ", &sha1);
}

static void own(unsigned place, int node)
{
    redis.owner[place] = node;
    redis.generation[place]++;
    redis.config.on_place(redis.config.user, place, node >= 0);
}

static void meta_says(unsigned shard, const char *id)
{
    char command[64];
    redisReply string = {.type = REDIS_REPLY_STRING, .str = (char *)id};
    const redisReply nil = {.type = REDIS_REPLY_NIL};
    snprintf(command, sizeof command, "HGET tally:{%u}:meta store", shard);
    reply(command, id != NULL ? &string : &nil);
}

static void find_store(const char *id, const char *shards)
{
    const char *texts[] = {"id", id, "format", "1", "shards", shards, "kind:like", "1", NULL};
    struct store_reply found;
    reply("HGETALL tally:store", store_reply_of(&found, texts));
}

/* Shards 0 and 1 on one server, 2 and 3 on another, which has tally:store, too. */
static void connect_redis(void)
{
    node_up(0, "one");
    own(0, 0);
    own(1, 0);
    node_up(1, "two");
    own(2, 1);
    own(3, 1);
    own(REDIS_PLACE_STORE, 1);
}

/* All of it, with all shards ready. */
static void follow(void)
{
    connect_redis();
    find_store(FIRST, "4");
    for (unsigned i = 0; i < SHARDS; i++)
        meta_says(i, FIRST);
    says("R+0+1+2+3");
}

static void lose_redis(void)
{
    while (redis.n > 0)
        reply(redis.sent[0].text, NULL);
    for (unsigned i = 0; i < REDIS_PLACES; i++)
        if (redis.owner[i] >= 0)
            own(i, -1);
    redis.config.on_node(redis.config.user, 0, false);
    redis.config.on_node(redis.config.user, 1, false);
}

static void read_again(void)
{
    store_link_another(store, 0); /* as a request that met another store */
}

/* ---- the store ---- */

static void follows_the_first_store(void **state)
{
    (void)state;
    assert_false(store_link_ready(store));
    assert_string_equal(store_link_why(store), "the server is away");
    connect_redis();
    assert_false(store_link_ready(store));
    find_store(FIRST, "4");
    says("R");
    assert_int_equal(store_link_shards_away(store), 4);
    for (unsigned i = 0; i < SHARDS; i++)
        meta_says(i, FIRST);
    says("+0+1+2+3");
    assert_string_equal(store_link_why(store), "");
    assert_int_equal(store_link_shards_away(store), 0);
    assert_string_equal(store_link_id(store), FIRST);
    assert_int_equal(store_link_shards(store), 4);
    assert_false(store_link_shard_ready(store, 4));
    assert_string_equal(store_link_kinds(store)->name[1], "like");
    assert_string_equal(store_link_run(store, 1), "oner");
    assert_string_equal(store_link_run(store, 2), "twor");
    store_link_reread(store);
    find_store(FIRST, "4");
    says(""); /* the same one again */
}

static void a_new_store_passes_through_away(void **state)
{
    (void)state;
    follow();
    store_link_collector(store, OTHER);
    store_link_reread(store);
    find_store(OTHER, "2");
    says("-0-1-2-3AR");
    assert_string_equal(store_link_id(store), OTHER);
    assert_int_equal(store_link_shards(store), 2);
    meta_says(0, OTHER);
    meta_says(1, OTHER);
    says("+0+1");
}

static void another_number_of_shards_passes_through_away(void **state)
{
    (void)state;
    follow();
    store_link_reread(store);
    find_store(FIRST, "3");
    says("-0-1-2-3AR");
    assert_int_equal(store_link_shards(store), 3);
}

static void only_the_collector_lets_it_follow_another(void **state)
{
    (void)state;
    follow();
    store_link_reread(store);
    find_store(OTHER, "4");
    says("-0-1-2-3A");
    assert_string_equal(store_link_id(store), FIRST);
    assert_non_null(strstr(store_link_why(store), "the collector is not ready with it"));
    store_link_collector(store, OTHER);
    read_again();
    find_store(OTHER, "4");
    says("R");
    assert_string_equal(store_link_id(store), OTHER);
}

static void no_store_is_away(void **state)
{
    const char *none[] = {NULL};
    struct store_reply found;
    (void)state;
    connect_redis();
    reply("HGETALL tally:store", store_reply_of(&found, none));
    says("");
    assert_non_null(strstr(store_link_why(store), "no store yet"));
    read_again();
    find_store(FIRST, "4");
    meta_says(2, FIRST);
    read_again();
    reply("HGETALL tally:store", store_reply_of(&found, none));
    says("R+2-2A");
}

/* The shards continue with the store that was accepted before. */
static void where_the_store_cannot_be_read_its_shards_go_on(void **state)
{
    const redisReply moved = {.type = REDIS_REPLY_ERROR, .str = "MOVED 1836 127.0.0.1:7000"};
    (void)state;
    follow();
    own(REDIS_PLACE_STORE, -1);
    says("");
    assert_string_equal(store_link_why(store), "tally:store away: the server is away");
    own(REDIS_PLACE_STORE, 0);
    reply("HGETALL tally:store", &moved);
    says("");
    assert_int_equal(redis.moves, 1);
    own(REDIS_PLACE_STORE, 1);
    find_store(FIRST, "4");
    says("");
    assert_string_equal(store_link_why(store), "");
}

/* ---- its shards ---- */

static void a_shard_of_another_store_waits_alone(void **state)
{
    (void)state;
    connect_redis();
    find_store(FIRST, "4");
    meta_says(0, FIRST);
    meta_says(1, NULL);
    meta_says(2, OTHER);
    meta_says(3, FIRST);
    says("R+0+3");
    assert_string_equal(store_link_why(store), "shards 1, 2 of 4 away: its data names no store");
    assert_false(store_link_shard_there(store, 1));
    assert_true(store_link_shard_there(store, 0));
    event_base_loop(base, EVLOOP_ONCE); /* it is asked once more */
    meta_says(1, FIRST);
    says("+1");
    assert_string_equal(store_link_why(store), "shard 2 away: its data belongs to another store");
}

static void a_request_that_meets_another_store_ends_its_shard(void **state)
{
    (void)state;
    follow();
    store_link_another(store, 2);
    says("-2");
    find_store(FIRST, "4"); /* it looked at once */
    says("");
    event_base_loop(base, EVLOOP_ONCE);
    meta_says(2, FIRST);
    says("+2");
}

/* One server takes over what another had. The shards of all other servers continue. */
static void another_owner_begins_its_shards_anew(void **state)
{
    (void)state;
    follow();
    own(0, -1);
    own(1, -1);
    redis.config.on_node(redis.config.user, 0, false);
    says("-0-1");
    assert_string_equal(store_link_why(store), "shards 0, 1 of 4 away: the server is away");
    node_up(2, "three");
    own(0, 2);
    own(1, 2);
    meta_says(0, FIRST);
    meta_says(1, FIRST);
    says("+0+1");
    assert_string_equal(store_link_run(store, 0), "threer");
    assert_string_equal(store_link_run(store, 2), "twor");
    own(3, 2); /* without having been away */
    meta_says(3, FIRST);
    says("-3+3");
    assert_string_equal(store_link_run(store, 3), "threer");
}

static redisReply answered;
static unsigned answers;

static void on_answer(void *user, const redisReply *with)
{
    (void)user;
    answers++;
    answered = with != NULL ? *with : (redisReply){.type = -1};
}

static void ask(uint32_t shard)
{
    const char *words[] = {"EVAL"};
    const size_t bytes[] = {4};
    answers = 0;
    assert_int_equal(store_link_send(store, shard, on_answer, NULL, 1, words, bytes), 0);
}

static void a_former_owners_answer_is_none(void **state)
{
    const redisReply fine = {.type = REDIS_REPLY_STRING, .str = "fine"};
    (void)state;
    follow();
    ask(3);
    own(3, 0);
    meta_says(3, FIRST);
    says("-3+3");
    reply("EVAL", &fine);
    assert_int_equal(answers, 1);
    assert_int_equal(answered.type, -1);
    ask(3);
    reply("EVAL", &fine);
    assert_int_equal(answered.type, REDIS_REPLY_STRING);
    says("");
}

/* The place is elsewhere, or on its way there: the connection is good. */
static void a_shard_that_moves_waits(void **state)
{
    redisReply word = {.type = REDIS_REPLY_STRING, .str = "error"};
    redisReply what = {.type = REDIS_REPLY_STRING, .str = "MOVED 1 127.0.0.1:7001"};
    redisReply *both[] = {&word, &what};
    const redisReply passed_on = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = both};
    const redisReply error = {.type = REDIS_REPLY_ERROR, .str = "MOVED 1 127.0.0.1:7001"};
    const redisReply aborted = {.type = REDIS_REPLY_ERROR, .str = "EXECABORT discarded"};
    const redisReply *const said[] = {&error, &passed_on, &aborted};
    (void)state;
    follow();
    for (size_t i = 0; i < 3; i++) {
        ask(1);
        reply("EVAL", said[i]);
        assert_int_equal(answers, 1);
        assert_int_equal(answered.type, -1);
        says("-1");
        assert_string_equal(redis.reset, "");
        assert_false(is_sent("HGET tally:{1}:meta store")); /* not at once */
        while (!is_sent("HGET tally:{1}:meta store"))
            event_base_loop(base, EVLOOP_ONCE);
        reply("HGET tally:{1}:meta store", &error);
        says("");
        while (!is_sent("HGET tally:{1}:meta store"))
            event_base_loop(base, EVLOOP_ONCE);
        meta_says(1, FIRST);
        says("+1");
    }
    assert_int_equal(redis.moves, 5);
}

static void lost_connections_take_the_shards_with_them(void **state)
{
    (void)state;
    follow();
    store_link_reread(store);
    lose_redis();
    says("-0-1-2-3");
    assert_true(store_link_ready(store));
    assert_string_equal(store_link_why(store), "the server is away");
    assert_string_equal(store_link_id(store), FIRST);
    connect_redis();
    for (unsigned i = 0; i < SHARDS; i++)
        meta_says(i, FIRST);
    says("+0+1+2+3");
    assert_string_equal(store_link_run(store, 0), "oner");
}

static void a_version_that_goes_back_begins_another_run(void **state)
{
    char run[STORE_LINK_RUN_BYTES + 1];
    (void)state;
    follow();
    assert_false(store_link_version(store, 1, 10));
    assert_false(store_link_version(store, 1, 10));
    assert_false(store_link_version(store, 2, 9));
    says("");
    assert_true(store_link_version(store, 1, 9));
    says("-1");
    assert_int_equal(store_link_stats(store).went_back, 1);
    event_base_loop(base, EVLOOP_ONCE);
    meta_says(1, FIRST);
    says("+1");
    assert_string_equal(store_link_run(store, 1), "oner-1");
    assert_string_equal(store_link_run(store, 0), "oner"); /* another shard did not */
    assert_false(store_link_version(store, 1, 9));
    snprintf(run, sizeof run, "%s", store_link_run(store, 1));
    own(1, -1);
    own(1, 0);
    meta_says(1, FIRST);
    assert_string_equal(store_link_run(store, 1), run); /* the same server: still that run */
    own(1, -1);
    node_up(0, "next");
    own(1, 0);
    meta_says(1, FIRST);
    says("-1+1-1+1");
    assert_string_equal(store_link_run(store, 1), "nextr");
    assert_false(store_link_version(store, 1, 1)); /* what another run had does not count */
}

static void what_makes_no_sense_ends_the_connection(void **state)
{
    const redisReply error = {.type = REDIS_REPLY_ERROR, .str = "ERR what"};
    const redisReply nil = {.type = REDIS_REPLY_NIL};
    (void)state;
    follow();
    store_link_refuse(store, 3, NULL, "no range");
    assert_string_equal(redis.reset, "");
    store_link_refuse(store, 3, &error, "no range");
    assert_string_equal(redis.reset, "3 ERR what");
    store_link_refuse(store, 1, &nil, "no range");
    assert_string_equal(redis.reset, "1 no range");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(follows_the_first_store),
        TEST(a_new_store_passes_through_away),
        TEST(another_number_of_shards_passes_through_away),
        TEST(only_the_collector_lets_it_follow_another),
        TEST(no_store_is_away),
        TEST(where_the_store_cannot_be_read_its_shards_go_on),
        TEST(a_shard_of_another_store_waits_alone),
        TEST(a_request_that_meets_another_store_ends_its_shard),
        TEST(another_owner_begins_its_shards_anew),
        TEST(a_former_owners_answer_is_none),
        TEST(a_shard_that_moves_waits),
        TEST(lost_connections_take_the_shards_with_them),
        TEST(a_version_that_goes_back_begins_another_run),
        TEST(what_makes_no_sense_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The link's states, with a connection to Redis that the test plays. */
#include "unit.h"

#include "redis/redis_link.h"
#include "store_link.h"
#include "store_reply.h"

#define FIRST "00000000000000aa"
#define OTHER "00000000000000bb"
#define SENT_MAX 8

/* ---- the connection ---- */

static struct {
    struct redis_link_config config;
    bool up;
    char reset[64]; /* why it was */
    struct {
        redis_link_cb *callback;
        void *user;
        char word[16];
    } sent[SENT_MAX]; /* not replied to */
    size_t n;
} redis;

struct redis_link *redis_link_new(struct event_base *base, const struct redis_link_config *config)
{
    (void)base;
    redis.config = *config;
    return (struct redis_link *)&redis;
}

void redis_link_free(struct redis_link *link)
{
    (void)link;
}

bool redis_link_up(const struct redis_link *link)
{
    (void)link;
    return redis.up;
}

uint64_t redis_link_timeouts(const struct redis_link *link)
{
    (void)link;
    return 0;
}

const char *redis_link_why(const struct redis_link *link)
{
    (void)link;
    return redis.up ? "" : "the server is away";
}

int redis_link_set_password(struct redis_link *link, const char *password)
{
    (void)link;
    (void)password;
    return 0;
}

void redis_link_reset(struct redis_link *link, const char *why)
{
    (void)link;
    snprintf(redis.reset, sizeof redis.reset, "%s", why);
}

int redis_link_send(struct redis_link *link, redis_link_cb *fn, void *user, int argc,
                    const char **argv, const size_t *bytes)
{
    (void)link;
    assert_true(argc > 0 && redis.n < SENT_MAX);
    if (!redis.up)
        return -1;
    redis.sent[redis.n].callback = fn;
    redis.sent[redis.n].user = user;
    snprintf(redis.sent[redis.n++].word, sizeof redis.sent[0].word, "%.*s", (int)bytes[0], argv[0]);
    return 0;
}

/* Replies to the oldest command, which is this one. */
static void reply(const char *word, const redisReply *with)
{
    assert_true(redis.n > 0);
    assert_string_equal(redis.sent[0].word, word);
    redis_link_cb *callback = redis.sent[0].callback;
    void *user = redis.sent[0].user;
    memmove(redis.sent, redis.sent + 1, --redis.n * sizeof redis.sent[0]);
    callback(user, with);
}

/* ---- the link ---- */

static struct event_base *base;
static struct store_link *store;
static char told[16]; /* R ready, A away, L lost */

static void tell(char what, bool ready)
{
    size_t n = strlen(told);
    assert_true(n + 1 < sizeof told);
    assert_int_equal(store_link_ready(store), ready);
    told[n] = what;
}

static void on_ready(void *user)
{
    (void)user;
    tell('R', true);
}

static void on_away(void *user)
{
    (void)user;
    tell('A', false);
}

static void on_lost(void *user)
{
    (void)user;
    tell('L', false);
}

static int setup(void **state)
{
    const struct store_link_config config = {
        .host = "redis", .on_ready = on_ready, .on_away = on_away, .on_lost = on_lost};
    (void)state;
    memset(&redis, 0, sizeof redis);
    memset(told, 0, sizeof told);
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

static void connect_redis(const char *run)
{
    char text[64];
    redisReply info = {.type = REDIS_REPLY_STRING, .str = text};
    snprintf(text, sizeof text, "# Server\r\nrun_id:%s\r\nmaster_replid:r\r\n", run);
    redis.up = true;
    redis.config.on_up(redis.config.user);
    reply("INFO", &info);
}

static void lose_redis(void)
{
    redis.up = false;
    while (redis.n > 0)
        reply(redis.sent[0].word, NULL);
    redis.config.on_down(redis.config.user, "closed");
}

static void find_store(const char *id, const char *shards)
{
    const char *texts[] = {"id", id, "format", "1", "shards", shards, "kind:like", "1", NULL};
    struct store_reply found;
    reply("HGETALL", store_reply_of(&found, texts));
}

/* The link reads the store again: as if a second had passed. */
static void look_again(void)
{
    store_link_another(store);
}

static void follows_the_first_store(void **state)
{
    (void)state;
    assert_false(store_link_ready(store));
    assert_string_equal(store_link_why(store), "the server is away");
    connect_redis("run");
    assert_false(store_link_ready(store));
    find_store(FIRST, "4");
    says("R");
    assert_string_equal(store_link_why(store), "");
    assert_string_equal(store_link_id(store), FIRST);
    assert_int_equal(store_link_shards(store), 4);
    assert_string_equal(store_link_kinds(store)->name[1], "like");
    assert_string_equal(store_link_run(store), "runr");
    store_link_reread(store);
    find_store(FIRST, "4");
    says(""); /* the same one again */
}

static void a_new_store_passes_through_away(void **state)
{
    (void)state;
    connect_redis("run");
    find_store(FIRST, "4");
    says("R");
    store_link_collector(store, OTHER);
    store_link_reread(store);
    find_store(OTHER, "8");
    says("AR");
    assert_string_equal(store_link_id(store), OTHER);
    assert_int_equal(store_link_shards(store), 8);
}

static void another_number_of_shards_passes_through_away(void **state)
{
    (void)state;
    connect_redis("run");
    find_store(FIRST, "4");
    store_link_reread(store);
    find_store(FIRST, "5");
    says("RAR");
    assert_int_equal(store_link_shards(store), 5);
}

static void only_the_collector_lets_it_follow_another(void **state)
{
    (void)state;
    connect_redis("run");
    find_store(FIRST, "4");
    store_link_reread(store);
    find_store(OTHER, "4");
    says("RA");
    assert_string_equal(store_link_id(store), FIRST);
    assert_non_null(strstr(store_link_why(store), "the collector is not ready with it"));
    store_link_collector(store, OTHER);
    look_again();
    find_store(OTHER, "4");
    says("R");
    assert_string_equal(store_link_id(store), OTHER);
}

static void a_request_that_meets_another_store_ends_it(void **state)
{
    (void)state;
    connect_redis("run");
    find_store(FIRST, "4");
    store_link_another(store);
    says("RA");
    find_store(FIRST, "4"); /* it looked at once */
    says("R");
}

static void no_store_is_away(void **state)
{
    const char *none[] = {NULL};
    struct store_reply found;
    (void)state;
    connect_redis("run");
    reply("HGETALL", store_reply_of(&found, none));
    says("");
    assert_non_null(strstr(store_link_why(store), "no store yet"));
    look_again();
    find_store(FIRST, "4");
    look_again();
    reply("HGETALL", store_reply_of(&found, none));
    says("RA");
}

static void a_lost_connection_is_away_then_lost(void **state)
{
    (void)state;
    connect_redis("run");
    find_store(FIRST, "4");
    store_link_reread(store);
    lose_redis();
    says("RAL");
    assert_string_equal(store_link_why(store), "the server is away");
    assert_string_equal(store_link_id(store), FIRST);
    assert_int_equal(store_link_stats(store).reconnects, 1);
    connect_redis("run");
    says("");
    find_store(FIRST, "4");
    says("R");
}

static void a_version_that_goes_back_begins_another_run(void **state)
{
    char run[STORE_LINK_RUN_BYTES + 1];
    (void)state;
    connect_redis("run");
    find_store(FIRST, "4");
    assert_false(store_link_version(store, 1, 10));
    assert_false(store_link_version(store, 1, 10));
    assert_false(store_link_version(store, 2, 9));
    snprintf(run, sizeof run, "%s", store_link_run(store));
    says("R");
    assert_true(store_link_version(store, 1, 9));
    says("A");
    assert_int_equal(store_link_stats(store).went_back, 1);
    assert_string_not_equal(store_link_run(store), run);
    find_store(FIRST, "4");
    says("R");
    assert_false(store_link_version(store, 1, 9));
    snprintf(run, sizeof run, "%s", store_link_run(store));
    lose_redis();
    connect_redis("run");
    assert_string_equal(store_link_run(store), run); /* the same server: still that run */
    lose_redis();
    connect_redis("next");
    assert_string_equal(store_link_run(store), "nextr");
    find_store(FIRST, "4");
    assert_false(store_link_version(store, 1, 1)); /* what another run had does not count */
}

static void what_makes_no_sense_ends_the_connection(void **state)
{
    const redisReply error = {.type = REDIS_REPLY_ERROR, .str = "ERR what"};
    const redisReply nil = {.type = REDIS_REPLY_NIL};
    (void)state;
    connect_redis("run");
    store_link_refuse(store, NULL, "no range");
    assert_string_equal(redis.reset, "");
    store_link_refuse(store, &error, "no range");
    assert_string_equal(redis.reset, "ERR what");
    store_link_refuse(store, &nil, "no range");
    assert_string_equal(redis.reset, "no range");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(follows_the_first_store),
        TEST(a_new_store_passes_through_away),
        TEST(another_number_of_shards_passes_through_away),
        TEST(only_the_collector_lets_it_follow_another),
        TEST(a_request_that_meets_another_store_ends_it),
        TEST(no_store_is_away),
        TEST(a_lost_connection_is_away_then_lost),
        TEST(a_version_that_goes_back_begins_another_run),
        TEST(what_makes_no_sense_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

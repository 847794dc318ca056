#include "unit.h"

#include "redis/redis_map.h"

#define NODE(host, port, id) "*3\r\n" host ":" port "\r\n$40\r\n" id "\r\n"
#define NODE4(host, port, id, more) "*4\r\n" host ":" port "\r\n$40\r\n" id "\r\n" more
#define ID "330f2d3943607975a4375675eb52afd61aa2d2ef"
#define LOCAL "$9\r\n127.0.0.1\r\n"

/* Ids are the same everywhere: the map does not read them. Redis 7.0.15 after two failovers. */
static const char redis_7[] = "*3\r\n*4\r\n:0\r\n:5460\r\n" NODE4(LOCAL, "25100", ID, "*0\r\n")
    NODE4(LOCAL, "25103", ID, "*0\r\n") "*4\r\n:5461\r\n:10922\r\n" NODE4(LOCAL, "25104", ID,
                                                                          "*0\r\n")
        NODE4(LOCAL, "25101", ID, "*0\r\n") "*4\r\n:10923\r\n:16383\r\n" NODE4(
            LOCAL, "25105", ID, "*0\r\n") NODE4(LOCAL, "25102", ID, "*0\r\n");

static redisReply *read_reply(const char *text, size_t bytes)
{
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();
    assert_int_equal(redisReaderFeed(reader, text, bytes), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

static int read_slots(struct redis_map *map, const char *text, struct error *why)
{
    struct redis_address asked;
    unsigned slots[REDIS_PLACES];
    redis_map_slots(slots, "tally:");
    assert_true(redis_map_address(&asked, "10.9.9.9", 7000));
    redisReply *reply = read_reply(text, strlen(text));
    int result = redis_map_read_slots(map, reply, slots, &asked, why);
    freeReplyObject(reply);
    return result;
}

static void is_owner(const struct redis_map *map, unsigned place, const char *host, int port)
{
    require_between(map->of[place], 0, REDIS_NODES_MAX - 1);
    const struct redis_address *at = &map->owner[(unsigned)map->of[place]];
    assert_string_equal(at->host, host);
    assert_int_equal(at->port, port);
}

/* As Redis 7.0.15 answers to CLUSTER KEYSLOT. */
static void computes_slots_as_redis_does(void **state)
{
    static const struct {
        const char *key;
        unsigned slot;
    } known[] = {{"tally:store", 1836}, {"tally:{3}:meta", 1584}, {"tally:{0}:x", 13907},
                 {"{1}", 9842},         {"123456789", 12739},     {"foo{}bar", 14292},
                 {"a{b}c{d}", 3300}};
    unsigned slots[REDIS_PLACES], others[REDIS_PLACES];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        assert_int_equal(redis_map_slot(known[i].key, strlen(known[i].key)), known[i].slot);
    redis_map_slots(slots, "tally:");
    assert_int_equal(slots[3], 1584);
    assert_int_equal(slots[REDIS_PLACE_STORE], 1836);
    redis_map_slots(others, "staging:");
    for (unsigned place = 0; place < REDIS_PLACE_STORE; place++)
        assert_int_equal(slots[place], others[place]);
    assert_int_not_equal(slots[REDIS_PLACE_STORE], others[REDIS_PLACE_STORE]);
}

static void reads_the_owners_and_knows_the_replicas(void **state)
{
    struct redis_map map;
    struct error why;
    (void)state;
    assert_int_equal(read_slots(&map, redis_7, &why), 0);
    assert_int_equal(map.n, 3);
    assert_int_equal(map.n_known, 6);
    is_owner(&map, 0, "127.0.0.1", 25105);
    is_owner(&map, 1, "127.0.0.1", 25104);
    is_owner(&map, REDIS_PLACE_STORE, "127.0.0.1", 25100);
}

static void understands_every_way_to_name_a_server(void **state)
{
    static const struct {
        const char *node, *host;
    } ways[] = {
        {NODE("$9\r\n127.0.0.1\r\n", "6379", ID), "127.0.0.1"}, /* Redis 4 */
        {"*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n", "127.0.0.1"},    /* Redis 3.0 */
        {NODE("$0\r\n\r\n", "6379", ID), "10.9.9.9"},           /* it has met nobody yet */
        {NODE4("$-1\r\n", "6379", ID, "*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"),
         "10.9.9.9"}, /* unknown-endpoint */
        {NODE4("$1\r\n?\r\n", "6379", ID, "*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"),
         "127.0.0.1"}, /* it should have a name, and has none */
        {NODE4("$9\r\nb.example\r\n", "6379", ID, "*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n"),
         "b.example"},
        {NODE4("$11\r\n2001:db8::1\r\n", "6379", ID, "*0\r\n"), "2001:db8::1"},
        {NODE4(
             "$8\r\n10.0.0.7\r\n", "6379", ID,
             "*4\r\n$8\r\nhostname\r\n$9\r\nc.example\r\n$17\r\navailability-zone\r\n$1\r\na\r\n"),
         "10.0.0.7"}, /* Valkey 8 and later */
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        struct redis_map map;
        struct error why;
        char text[400];
        snprintf(text, sizeof text, "*1\r\n*3\r\n:0\r\n:16383\r\n%s", ways[i].node);
        require(read_slots(&map, text, &why) == 0, "way %zu", i);
        is_owner(&map, 7, ways[i].host, 6379);
    }
}

static void leaves_places_without_an_owner(void **state)
{
    struct redis_map map;
    struct error why;
    (void)state;
    assert_int_equal(read_slots(&map, "*0\r\n", &why), 0);
    assert_int_equal(map.of[0], -1);
    /* Slots of shard 3 only; one server without any address. */
    assert_int_equal(
        read_slots(&map,
                   "*2\r\n*3\r\n:1584\r\n:1584\r\n" NODE(
                       LOCAL, "1", ID) "*3\r\n:1585\r\n:16383\r\n" NODE("$1\r\n?\r\n", "2", ID),
                   &why),
        0);
    is_owner(&map, 3, "127.0.0.1", 1);
    assert_int_equal(map.of[0], -1);
    assert_int_equal(map.n, 1);
}

static void refuses_what_makes_no_sense(void **state)
{
    static const char *const bad[] = {
        "-ERR This instance has cluster support disabled\r\n",
        ":1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE(LOCAL, "1", ID),
        "*1\r\n*3\r\n:-1\r\n:5\r\n" NODE(LOCAL, "1", ID),
        "*1\r\n*3\r\n:6\r\n:5\r\n" NODE(LOCAL, "1", ID),
        "*1\r\n*3\r\n:0\r\n:5\r\n*1\r\n$1\r\nx\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\nx\r\n$1\r\n1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct redis_map map;
        struct error why = {0};
        require(read_slots(&map, bad[i], &why) == -1 && why.text[0] != '\0', "reply %zu", i);
    }
}

static void has_a_bound(void **state)
{
    static char text[REDIS_PLACES * 200];
    struct redis_map map;
    struct error why;
    size_t used = (size_t)snprintf(text, sizeof text, "*%d\r\n", REDIS_PLACES);
    unsigned slots[REDIS_PLACES], without = 0;
    (void)state;
    redis_map_slots(slots, "tally:");
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "*3\r\n:%u\r\n:%u\r\n*2\r\n" LOCAL ":%u\r\n", slots[place],
                                 slots[place], 1000 + place);
    assert_int_equal(read_slots(&map, text, &why), 0);
    assert_int_equal(map.n, REDIS_NODES_MAX);
    assert_int_equal(map.n_known, REDIS_MAP_KNOWN_MAX);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        without += map.of[place] < 0;
    assert_int_equal(without, REDIS_PLACES - REDIS_NODES_MAX);
}

static void reads_what_a_sentinel_names(void **state)
{
    static const char *const bad[] = {"*-1\r\n",
                                      "-IDONTKNOW x\r\n",
                                      "*1\r\n$1\r\nx\r\n",
                                      "*2\r\n$1\r\nx\r\n$2\r\n7x\r\n",
                                      "*2\r\n$0\r\n\r\n$1\r\n7\r\n",
                                      "*2\r\n$1\r\nx\r\n$5\r\n70000\r\n"};
    struct redis_map map;
    struct error why;
    (void)state;
    redisReply *reply = read_reply("*2\r\n$8\r\n10.1.1.2\r\n$4\r\n6380\r\n", 29);
    assert_int_equal(redis_map_read_sentinel(&map, reply, &why), 0);
    freeReplyObject(reply);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        is_owner(&map, place, "10.1.1.2", 6380);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        reply = read_reply(bad[i], strlen(bad[i]));
        require(redis_map_read_sentinel(&map, reply, &why) == -1, "reply %zu", i);
        freeReplyObject(reply);
    }
}

static void tells_which_places_have_moved(void **state)
{
    struct redis_map a, b;
    struct error why;
    struct redis_address at;
    (void)state;
    assert_int_equal(read_slots(&a, redis_7, &why), 0);
    b = a;
    b.of[3] = -1;
    b.of[5] = a.of[5] == 0 ? 1 : 0;
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        assert_int_equal(redis_map_differs(&a, &b, place), place == 3 || place == 5);
    /* The same servers in another order. */
    assert_true(redis_map_address(&at, "127.0.0.1", 25105));
    redis_map_fix(&b, &at);
    assert_false(redis_map_differs(&a, &b, 0));
    assert_true(redis_map_differs(&a, &b, 1));
    redis_map_copy(&b, &a);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        assert_false(redis_map_differs(&a, &b, place));
    assert_int_equal(b.n, a.n);
    assert_int_equal(b.n_known, a.n_known);
    for (unsigned i = 0; i < a.n_known; i++)
        assert_true(redis_map_same(&a.known[i], &b.known[i]));
}

static struct redis_view view_of(const char *text)
{
    struct redis_view view;
    redisReply *reply = read_reply(text, strlen(text));
    redis_map_read_view(&view, reply);
    freeReplyObject(reply);
    return view;
}

static void reads_how_well_a_server_is_placed_to_know(void **state)
{
    (void)state;
    struct redis_view view = view_of("$65\r\ncluster_state:ok\r\ncluster_slots_assigned:16384\r\n"
                                     "cluster_current_epo\r\n");
    assert_true(view.sound);
    assert_false(view.has_epoch);
    view = view_of("$45\r\ncluster_state:fail\r\ncluster_current_epoch:8\r\n\r\n");
    assert_false(view.sound);
    assert_true(view.has_epoch);
    assert_int_equal(view.epoch, 8);
    view = view_of("*4\r\n$4\r\nname\r\n$1\r\nx\r\n$12\r\nconfig-epoch\r\n$2\r\n12\r\n");
    assert_true(view.sound && view.has_epoch);
    assert_int_equal(view.epoch, 12);
    view = view_of("-NOPERM no\r\n");
    assert_true(view.sound);
    assert_false(view.has_epoch);
}

static void believes_nobody_who_is_behind_or_cut_off(void **state)
{
    struct redis_belief belief = {0};
    const struct redis_view seven = {.sound = true, .has_epoch = true, .epoch = 7};
    const struct redis_view eight = {.sound = true, .has_epoch = true, .epoch = 8};
    const struct redis_view cut_off = {.sound = false, .has_epoch = true, .epoch = 9};
    const struct redis_view silent = {.sound = true};
    (void)state;
    assert_true(redis_map_believe(&belief, &seven, 1000));
    assert_true(redis_map_believe(&belief, &eight, 1001));
    assert_false(redis_map_believe(&belief, &seven, 1002));
    assert_false(redis_map_believe(&belief, &cut_off, 1003));
    assert_true(redis_map_believe(&belief, &silent, 1004));
    assert_false(redis_map_believe(&belief, &seven, 1005));
    /* Nobody else for a while: the cluster may have been made again. */
    assert_false(redis_map_believe(&belief, &seven, 1004 + REDIS_BELIEF_MS - 1));
    assert_true(redis_map_believe(&belief, &seven, 1004 + REDIS_BELIEF_MS));
    assert_true(redis_map_believe(&belief, &seven, 1004 + REDIS_BELIEF_MS + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_slots_as_redis_does),
        cmocka_unit_test(reads_the_owners_and_knows_the_replicas),
        cmocka_unit_test(understands_every_way_to_name_a_server),
        cmocka_unit_test(leaves_places_without_an_owner),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(has_a_bound),
        cmocka_unit_test(reads_what_a_sentinel_names),
        cmocka_unit_test(tells_which_places_have_moved),
        cmocka_unit_test(reads_how_well_a_server_is_placed_to_know),
        cmocka_unit_test(believes_nobody_who_is_behind_or_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

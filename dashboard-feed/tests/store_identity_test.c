#include "unit.h"

#include "store_identity.h"
#include "store_reply.h"

#define ID "0123456789abcdef"

static struct store_identity identity;

static const char *read_texts(const char *const *texts)
{
    struct store_reply reply;
    return store_identity_read(&identity, store_reply_of(&reply, texts));
}

static void reads_what_a_collector_made(void **state)
{
    const char *texts[] = {"kind:like", "1",      "id", ID,          "format", "1", "shards",
                           "64",        "custom", "is", "kind:love", "15",     NULL};
    (void)state;
    assert_null(read_texts(texts));
    assert_string_equal(identity.id, ID);
    assert_int_equal(identity.shards, 64);
    assert_string_equal(identity.kinds.name[1], "like");
    assert_string_equal(identity.kinds.name[15], "love");
    assert_string_equal(identity.kinds.name[2], "");
}

static void refuses_what_is_no_store(void **state)
{
    static const char *const cases[][9] = {
        {"format", "1", "shards", "4", NULL},
        {"id", ID, "shards", "4", NULL},
        {"id", ID, "format", "1", NULL},
        {"id", ID, "format", "2", "shards", "4", NULL},
        {"id", ID, "format", "1", "shards", "0", NULL},
        {"id", ID, "format", "1", "shards", "65", NULL},
        {"id", "0123456789abcdef0", "format", "1", "shards", "4", NULL},
        {"id", "0123456789abcde", "format", "1", "shards", "4", NULL},
        {"id", "0123456789ABCDEF", "format", "1", "shards", "4", NULL},
        {"id", ID, "format", "1", "shards", "4", "kind:like", "0", NULL},
        {"id", ID, "format", "1", "shards", "4", "kind:like", "16", NULL},
        {"id", ID, "format", "1", "shards", "4", "kind:like", "1x", NULL},
        {"id", ID, "format", "1", "shards", "4", "kind:", "1", NULL},
    };
    const char *twice[] = {"id",        ID,  "format",    "1", "shards", "4",
                           "kind:like", "1", "kind:love", "1", NULL};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        require(read_texts(cases[i]) != NULL, "case %zu is taken for a store", i);
    assert_non_null(read_texts(twice)); /* one number for two kinds */
}

static void says_why_there_is_no_store(void **state)
{
    const char *none[] = {NULL};
    redisReply error = {.type = REDIS_REPLY_ERROR, .str = "WRONGTYPE"};
    redisReply number = {.type = REDIS_REPLY_INTEGER};
    redisReply nil = {.type = REDIS_REPLY_NIL}, *pair[] = {&nil, &nil};
    redisReply unreadable = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = pair};
    (void)state;
    assert_string_equal(read_texts(none), "no store yet: no collector has made one");
    assert_string_equal(store_identity_read(&identity, &error), "WRONGTYPE");
    assert_string_equal(store_identity_read(&identity, &number),
                        "no store yet: no collector has made one");
    assert_string_equal(store_identity_read(&identity, &unreadable), "tally:store is not readable");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_collector_made),
        cmocka_unit_test(refuses_what_is_no_store),
        cmocka_unit_test(says_why_there_is_no_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "core/bytes.h"
#include "register_call.h"

/* --- packing --- */

static const struct ring_identity identity = {
    .shard = 3,
    .ring_id = 0x1122334455667788,
    .edge_id = 0x99aabbccddeeff01,
};

static void assert_argument(const struct batch_arguments *arguments, size_t i, const void *want,
                            size_t bytes)
{
    require(arguments->bytes[i] == bytes && memcmp(arguments->argv[i], want, bytes) == 0,
            "argument %zu", i);
}

static void assert_word(const struct batch_arguments *arguments, size_t i, const char *want)
{
    assert_argument(arguments, i, want, strlen(want));
}

static void test_packs_what_the_script_reads(void **state)
{
    (void)state;
    struct register_call call;
    const struct record record = {.position = 192,
                                  .sequence = 3,
                                  .stamp = 1000,
                                  .kind = 2,
                                  .article = "an-article",
                                  .article_bytes = 10};
    const struct record bad = {.position = 256,
                               .sequence = 4,
                               .stamp = 1001,
                               .article = "an-article",
                               .article_bytes = 10};
    struct register_call_terms terms = {
        .script = "0a1b2c", .store = 0x9b1d, .split = 36, .renew = true};
    unsigned char from[8], to[16], edge[8];
    struct batch *batch = batch_new(4, REGISTER_CALL_FIXED);
    batch_begin(batch, (struct batch_point){64, 1});
    assert_true(batch_add(batch, &record, 7));
    assert_true(batch_quarantine(batch, &bad));
    struct batch_arguments arguments = batch_finish(batch);
    register_call_init(&call, "tally:", &identity);
    register_call_pack(&call, batch_range(batch), &terms, &arguments);

    static const char *const words[] = {"EVALSHA",
                                        "0a1b2c",
                                        "4",
                                        "tally:{3}:heads",
                                        "tally:{3}:changed",
                                        "tally:{3}:meta",
                                        "tally:{3}:rings",
                                        "1122334455667788"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        assert_word(&arguments, i, words[i]);
    bytes_put_u64(from, 64);
    bytes_put_u64(to, 320);
    bytes_put_u64(to + 8, 5);
    bytes_put_u64(edge, identity.edge_id);
    assert_argument(&arguments, 8, from, sizeof from);
    assert_argument(&arguments, 9, to, sizeof to);
    assert_word(&arguments, 10, "1"); /* quarantined */
    assert_word(&arguments, 11, "2"); /* lost: sequences 1 and 2 */
    assert_argument(&arguments, 12, edge, sizeof edge);
    assert_word(&arguments, 13, "36");
    assert_word(&arguments, 14, "3");
    assert_word(&arguments, 15, "1");
    assert_word(&arguments, 16, "0000000000009b1d");
    assert_int_equal(arguments.n, REGISTER_CALL_FIXED + 2);
    assert_word(&arguments, REGISTER_CALL_FIXED, "an-article");
    assert_int_equal(arguments.bytes[REGISTER_CALL_FIXED + 1], 15);

    terms.accelerated = true;
    register_call_pack(&call, batch_range(batch), &terms, &arguments);
    assert_word(&arguments, 0, "TALLY.REGISTER");
    assert_word(&arguments, 1, "now");
    for (size_t i = 2; i < COUNT_OF(words); i++)
        assert_word(&arguments, i, words[i]);
    batch_free(batch);
}

/* --- reading --- */

#define PARTS 6

struct answer {
    redisReply reply, part[PARTS], *element[PARTS];
};

static void add_text(struct answer *answer, const char *text, size_t bytes)
{
    redisReply *part = &answer->part[answer->reply.elements++];
    *part = (redisReply){
        .type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)text, .len = (size_t)bytes};
}

static void add_number(struct answer *answer, long long number)
{
    answer->part[answer->reply.elements++] =
        (redisReply){.type = REDIS_REPLY_INTEGER, .integer = number};
}

static void begin(struct answer *answer, const char *word)
{
    memset(answer, 0, sizeof *answer);
    answer->reply.type = REDIS_REPLY_ARRAY;
    answer->reply.element = answer->element;
    for (size_t i = 0; i < PARTS; i++)
        answer->element[i] = &answer->part[i];
    add_text(answer, word, strlen(word));
}

static void test_reads_what_was_applied(void **state)
{
    (void)state;
    static const char superseded[] = {2, 0, 5, 1, 1, 7}; /* vote 2 holds 5, vote 257 holds 7 */
    struct register_call_reply reply;
    struct answer answer;
    unsigned kind_id = 0;
    begin(&answer, "ok");
    add_number(&answer, 3);
    add_number(&answer, 4);
    add_number(&answer, 5);
    add_text(&answer, superseded, sizeof superseded);
    add_text(&answer, "OOM of a split", strlen("OOM of a split"));
    register_call_read(&reply, &answer.reply);
    assert_int_equal(reply.answer, APPLY_OK);
    assert_null(reply.why);
    assert_true(reply.added == 3 && reply.changed == 4 && reply.repeated == 5 &&
                reply.superseded == 2);
    assert_string_equal(reply.split_error, "OOM of a split");
    for (size_t i = 0; i < 300; i++) {
        bool was = register_call_superseded(&reply, i, &kind_id);
        require(was == (i == 2 || i == 257), "vote %zu", i);
        if (was)
            assert_int_equal(kind_id, i == 2 ? 5 : 7);
    }
}

static void test_reads_why_nothing_was_applied(void **state)
{
    (void)state;
    struct register_call_reply reply;
    struct answer answer;
    redisReply error = {.type = REDIS_REPLY_ERROR, .str = (char *)(uintptr_t) "NOSCRIPT gone"};

    register_call_read(&reply, NULL);
    assert_int_equal(reply.answer, APPLY_NO_ANSWER);
    register_call_read(&reply, &error);
    assert_int_equal(reply.answer, APPLY_NO_SCRIPT);
    error.str = (char *)(uintptr_t) "ERR unknown command 'TALLY.REGISTER', with args";
    register_call_read(&reply, &error);
    assert_int_equal(reply.answer, APPLY_NO_SCRIPT);
    error.str = (char *)(uintptr_t) "NOPERM User t has no permissions to run the 'tally.register'";
    register_call_read(&reply, &error);
    assert_int_equal(reply.answer, APPLY_NO_SCRIPT);
    error.str = (char *)(uintptr_t) "ERR unknown command 'EVALSHA', with args";
    register_call_read(&reply, &error);
    assert_int_equal(reply.answer, APPLY_WAIT);
    error.str = (char *)(uintptr_t) "WRONGTYPE"; /* not the script's, so not a record's fault */
    register_call_read(&reply, &error);
    assert_int_equal(reply.answer, APPLY_WAIT);
    assert_string_equal(reply.why, "WRONGTYPE");

    begin(&answer, "at");
    add_text(&answer, "", 0);
    register_call_read(&reply, &answer.reply);
    assert_int_equal(reply.answer, APPLY_ELSEWHERE);
    begin(&answer, "paused");
    add_number(&answer, 20);
    register_call_read(&reply, &answer.reply);
    assert_int_equal(reply.answer, APPLY_PAUSED);
    assert_int_equal(reply.article, 0);

    begin(&answer, "store");
    add_text(&answer, "store: another", strlen("store: another"));
    register_call_read(&reply, &answer.reply);
    assert_int_equal(reply.answer, APPLY_WAIT);
    assert_string_equal(reply.why, "store: another");
    assert_int_equal(reply.article, 0);

    for (long long article = 0; article < 3; article++) {
        begin(&answer, "error");
        add_text(&answer, "WRONGTYPE of a bucket", strlen("WRONGTYPE of a bucket"));
        add_number(&answer, article);
        register_call_read(&reply, &answer.reply);
        assert_int_equal(reply.answer, article > 0 ? APPLY_POISON : APPLY_WAIT);
        assert_int_equal(reply.article, article);
        assert_string_equal(reply.why, "WRONGTYPE of a bucket");
    }
}

/* What register.lua never answers quarantines nothing: the pipeline waits and says so. */
static void test_holds_after_any_other_reply(void **state)
{
    (void)state;
    struct register_call_reply reply;
    struct answer answer[6];
    begin(&answer[0], "ok"); /* too short */
    add_number(&answer[0], 1);
    begin(&answer[1], "ok"); /* a text for a number */
    for (int i = 0; i < 5; i++)
        add_text(&answer[1], "1", 1);
    begin(&answer[2], "error");
    add_text(&answer[2], "BADHEAD", 7);
    begin(&answer[3], "what");
    add_number(&answer[3], 1);
    begin(&answer[4], "ok"); /* the word is missing */
    add_number(&answer[4], 1);
    answer[4].part[0] = (redisReply){.type = REDIS_REPLY_INTEGER};
    begin(&answer[5], "ok");
    answer[5].reply = (redisReply){.type = REDIS_REPLY_STATUS, .str = (char *)(uintptr_t) "OK"};
    for (size_t i = 0; i < COUNT_OF(answer); i++) {
        unsigned kind_id;
        register_call_read(&reply, &answer[i].reply);
        require(reply.answer == APPLY_WAIT && reply.article == 0, "%zu", i);
        assert_string_equal(reply.why, "unexpected reply from register.lua");
        assert_false(register_call_superseded(&reply, 0, &kind_id));
    }
}

/* --- the position --- */

static void test_asks_for_the_position(void **state)
{
    (void)state;
    struct register_call call;
    const char *argv[REGISTER_CALL_POSITION];
    size_t bytes[REGISTER_CALL_POSITION];
    const struct batch_arguments arguments = {REGISTER_CALL_POSITION, argv, bytes};
    register_call_init(&call, "tally:", &identity);
    for (int adopt = 0; adopt < 2; adopt++) {
        register_call_ask(&call, 0x9b1d, adopt, argv, bytes);
        assert_word(&arguments, 0, "EVAL");
        assert_true(bytes[1] > 100 && argv[1][bytes[1]] == '\0');
        assert_word(&arguments, 2, "2");
        assert_word(&arguments, 3, "tally:{3}:meta");
        assert_word(&arguments, 4, "tally:{3}:rings");
        assert_word(&arguments, 5, "1122334455667788");
        assert_word(&arguments, 6, "0000000000009b1d");
        assert_word(&arguments, 7, adopt ? "adopt" : "");
    }
}

static void test_reads_the_position(void **state)
{
    (void)state;
    unsigned char stored[APPLY_POSITION_BYTES] = {0};
    struct apply_position position;
    struct answer answer;
    redisReply other = {.type = REDIS_REPLY_ERROR, .str = (char *)(uintptr_t) "LOADING"};
    bytes_put_u64(stored, 640);
    bytes_put_u64(stored + 8, 10);
    begin(&answer, "at");
    add_text(&answer, (const char *)stored, sizeof stored);
    assert_null(register_call_read_position(&position, &answer.reply));
    assert_true(position.point.position == 640 && position.point.sequence == 10);
    begin(&answer, "at");
    add_text(&answer, "", 0);
    assert_null(register_call_read_position(&position, &answer.reply));
    assert_true(position.point.position == 0 && position.point.sequence == 0);
    begin(&answer, "at");
    add_text(&answer, "short", 5);
    assert_non_null(register_call_read_position(&position, &answer.reply));
    begin(&answer, "store");
    add_text(&answer, "store: another", strlen("store: another"));
    assert_string_equal(register_call_read_position(&position, &answer.reply), "store: another");
    assert_string_equal(register_call_read_position(&position, &other), "LOADING");
    other.type = REDIS_REPLY_NIL;
    assert_string_equal(register_call_read_position(&position, &other),
                        "unexpected reply from position.lua");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packs_what_the_script_reads),
        cmocka_unit_test(test_reads_what_was_applied),
        cmocka_unit_test(test_reads_why_nothing_was_applied),
        cmocka_unit_test(test_holds_after_any_other_reply),
        cmocka_unit_test(test_asks_for_the_position),
        cmocka_unit_test(test_reads_the_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

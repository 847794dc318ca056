#include "unit.h"

#include "audit/audit_count.h"
#include "core/bytes.h"

/* An answer of count.lua, made by hand. */
struct answer {
    redisReply reply, part[8], *element[8];
    unsigned char numbers[80];
    char head[32];
};

static void text(redisReply *reply, const char *value, size_t bytes)
{
    *reply = (redisReply){.type = REDIS_REPLY_STRING, .str = (char *)(uintptr_t)value};
    reply->len = (__typeof__(reply->len))bytes;
}

static void word(struct answer *answer, const char *value)
{
    memset(answer, 0, sizeof *answer);
    for (int i = 0; i < 8; i++)
        answer->element[i] = &answer->part[i];
    answer->reply = (redisReply){.type = REDIS_REPLY_ARRAY, .elements = 1};
    answer->reply.element = answer->element;
    text(&answer->part[0], value, strlen(value));
}

static void slice(struct answer *answer, unsigned at, const char *cursor, unsigned registers,
                  unsigned buckets)
{
    word(answer, "ok");
    answer->reply.elements = 8;
    memset(answer->head, 'h', sizeof answer->head);
    bytes_put_u32(answer->numbers + 4, registers); /* all of kind id 1 */
    bytes_put_u32(answer->numbers + 64, registers);
    bytes_put_u32(answer->numbers + 68, 1);
    bytes_put_u32(answer->numbers + 72, 2);
    bytes_put_u32(answer->numbers + 76, buckets);
    text(&answer->part[1], answer->head, sizeof answer->head);
    text(&answer->part[2], "", 0);
    text(&answer->part[3], "1795510800123456", 16);
    text(&answer->part[4], "1795510800123457", 16);
    answer->part[5] = (redisReply){.type = REDIS_REPLY_INTEGER, .integer = at};
    text(&answer->part[6], cursor, strlen(cursor));
    text(&answer->part[7], (const char *)answer->numbers, sizeof answer->numbers);
}

static void test_slices_add_up(void **state)
{
    (void)state;
    static struct audit_count count;
    const char *argv[AUDIT_COUNT_ARGUMENTS];
    size_t bytes[AUDIT_COUNT_ARGUMENTS];
    struct answer answer;
    audit_count_begin(&count, "world/a", 7, 3, 1000);
    audit_count_arguments(&count, argv, bytes);
    assert_string_equal(argv[0], "4");
    assert_string_equal(argv[1], "tally:{3}:heads");
    assert_string_equal(argv[2], "tally:{3}:base");
    assert_string_equal(argv[3], "tally:{3}:changed");
    assert_string_equal(argv[4], "tally:{3}:meta");
    assert_memory_equal(argv[5], "world/a", 7);
    assert_true(bytes[5] == 7 && bytes[6] == 0);
    assert_string_equal(argv[7], "0");
    assert_string_equal(argv[8], "0");
    assert_string_equal(argv[9], "1000");

    slice(&answer, 2, "77", 900, 4);
    assert_int_equal(audit_count_answer(&count, &answer.reply), AUDIT_COUNT_MORE);
    assert_true(audit_count_is_long(&count));
    audit_count_arguments(&count, argv, bytes);
    assert_int_equal(bytes[6], 32);
    assert_memory_equal(argv[6], answer.head, 32);
    assert_string_equal(argv[7], "2");
    assert_string_equal(argv[8], "77");
    slice(&answer, 4, "0", 100, 4);
    assert_int_equal(audit_count_answer(&count, &answer.reply), AUDIT_COUNT_DONE);
    assert_true(count.registers == 1000 && count.count[1] == 1000 && count.count[2] == 0);
    assert_true(count.misplaced == 2 && count.malformed == 4);
    assert_true(count.slices == 2 && count.largest_slice == 900);
    assert_true(count.changed == 1795510800123456u && count.last_version == 1795510800123457u);
}

static void test_one_slice_is_not_long(void **state)
{
    (void)state;
    static struct audit_count count;
    struct answer answer;
    audit_count_begin(&count, "a", 1, 0, 1000);
    assert_false(audit_count_is_long(&count));
    slice(&answer, 1, "0", 3, 1);
    assert_int_equal(audit_count_answer(&count, &answer.reply), AUDIT_COUNT_DONE);
    assert_false(audit_count_is_long(&count));
}

static void test_words(void **state)
{
    (void)state;
    static struct audit_count count;
    struct answer answer;
    static const struct {
        const char *word;
        enum audit_count_step first, later;
    } rows[] = {
        {"none", AUDIT_COUNT_ABSENT, AUDIT_COUNT_CHANGED},
        {"changed", AUDIT_COUNT_CHANGED, AUDIT_COUNT_CHANGED},
        {"bad", AUDIT_COUNT_DAMAGED, AUDIT_COUNT_DAMAGED},
        {"else", AUDIT_COUNT_FAILED, AUDIT_COUNT_FAILED},
        {"ok", AUDIT_COUNT_FAILED, AUDIT_COUNT_FAILED}, /* with nothing behind it */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        audit_count_begin(&count, "a", 1, 0, 1000);
        word(&answer, rows[i].word);
        require(audit_count_answer(&count, &answer.reply) == rows[i].first, "%s", rows[i].word);
        audit_count_begin(&count, "a", 1, 0, 1000);
        slice(&answer, 1, "0", 3, 2);
        assert_int_equal(audit_count_answer(&count, &answer.reply), AUDIT_COUNT_MORE);
        word(&answer, rows[i].word);
        require(audit_count_answer(&count, &answer.reply) == rows[i].later, "%s", rows[i].word);
    }
}

static void test_what_nobody_understands(void **state)
{
    (void)state;
    static struct audit_count count;
    struct answer answer;
    redisReply error = {.type = REDIS_REPLY_ERROR, .str = (char *)(uintptr_t) "ERR"};
    audit_count_begin(&count, "a", 1, 0, 1000);
    assert_int_equal(audit_count_answer(&count, NULL), AUDIT_COUNT_FAILED);
    assert_int_equal(audit_count_answer(&count, &error), AUDIT_COUNT_FAILED);
    for (int part = 1; part < 8; part++) {
        slice(&answer, 1, "0", 3, 1);
        answer.part[part].type = REDIS_REPLY_NIL;
        require(audit_count_answer(&count, &answer.reply) == AUDIT_COUNT_FAILED, "part %d", part);
    }
    static char large[1000];
    memset(large, '1', sizeof large);
    static const int sized[] = {1, 6, 7};
    for (size_t i = 0; i < COUNT_OF(sized); i++) {
        slice(&answer, 1, "0", 3, 1);
        text(&answer.part[sized[i]], large, sizeof large);
        require(audit_count_answer(&count, &answer.reply) == AUDIT_COUNT_FAILED, "part %d",
                sized[i]);
    }
    slice(&answer, 1, "0", 3, 1);
    answer.part[5].integer = -1;
    assert_int_equal(audit_count_answer(&count, &answer.reply), AUDIT_COUNT_FAILED);
    assert_int_equal(count.slices, 0);
    /* A base longer than any is kept as that. */
    slice(&answer, 1, "0", 3, 1);
    text(&answer.part[2], large, sizeof large);
    assert_int_equal(audit_count_answer(&count, &answer.reply), AUDIT_COUNT_DONE);
    assert_true(count.base_bytes == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_add_up),
        cmocka_unit_test(test_one_slice_is_not_long),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_what_nobody_understands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "receipt.h"

#include "core/article.h"

static void says_what_was_valid(void **state)
{
    static const struct {
        const char *article, *reaction;
        enum reason reason;
        const char *json;
    } rows[] = {
        {"world/x", "angry", REASON_BUSY,
         "{\"article\":\"world/x\",\"reaction\":\"angry\",\"outcome\":\"refused\",\"reason\":"
         "\"busy\"}"},
        {"", "none", REASON_BAD_ARTICLE,
         "{\"reaction\":\"none\",\"outcome\":\"refused\",\"reason\":\"bad_article\"}"},
        {"a", NULL, REASON_UNKNOWN_KIND,
         "{\"article\":\"a\",\"outcome\":\"refused\",\"reason\":\"unknown_kind\"}"},
        {"", NULL, REASON_BAD_TOPIC, "{\"outcome\":\"refused\",\"reason\":\"bad_topic\"}"},
    };
    char out[RECEIPT_MAX_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t bytes = receipt_refusal(out, sizeof out, rows[i].article, strlen(rows[i].article),
                                       rows[i].reaction, rows[i].reason);
        assert_string_equal(out, rows[i].json);
        assert_int_equal(bytes, strlen(rows[i].json));
    }
    /* The article lies in a topic: what follows it there is not taken along. */
    receipt_refusal(out, sizeof out, "abc", 1, NULL, REASON_BUSY);
    assert_string_equal(out, "{\"article\":\"a\",\"outcome\":\"refused\",\"reason\":\"busy\"}");
}

static void fits_its_bound(void **state)
{
    char article[ARTICLE_MAX_BYTES];
    char out[RECEIPT_MAX_BYTES];
    (void)state;
    memset(article, 'a', sizeof article);
    for (int reason = 0; reason < REASON_COUNT; reason++)
        assert_true(receipt_refusal(out, sizeof out, article, sizeof article, "abcdefghijklmnop",
                                    (enum reason)reason) > 0);
    size_t bytes = receipt_refusal(out, sizeof out, "a", 1, "sad", REASON_BUSY);
    assert_int_equal(receipt_refusal(out, bytes, "a", 1, "sad", REASON_BUSY), 0);
    assert_int_equal(receipt_refusal(out, bytes + 1, "a", 1, "sad", REASON_BUSY), bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_was_valid),
        cmocka_unit_test(fits_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

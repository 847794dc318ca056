#include "unit.h"

#include "receipt.h"

/* --- a link whose broker takes what it is told to --- */

struct mqtt_link {
    bool up, backed_up, written;
    unsigned n; /* published */
};

bool mqtt_link_up(const struct mqtt_link *link)
{
    return link->up;
}

bool mqtt_link_backed_up(const struct mqtt_link *link)
{
    return link->backed_up;
}

bool mqtt_link_written(const struct mqtt_link *link)
{
    return link->written;
}

int mqtt_link_publish(struct mqtt_link *link, const char *topic, const void *payload, size_t bytes,
                      int qos, bool retain, const mosquitto_property *properties,
                      int *mid) /* NOLINT(readability-non-const-parameter): the link's own form */
{
    (void)payload, (void)bytes, (void)properties, (void)mid;
    assert_string_equal(topic, "receipts/me");
    assert_true(qos == 0 && !retain);
    link->n++;
    return 0;
}

static void test_payloads(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind;
        const char *request, *current, *payload;
    } rows[] = {
        {5, "angry", NULL,
         "{\"article\":\"world/migrant-caravan\",\"reaction\":\"angry\",\"outcome\":\"counted\"}"},
        {5, "angry", "sad",
         "{\"article\":\"world/migrant-caravan\",\"reaction\":\"angry\",\"outcome\":\"superseded\","
         "\"current\":\"sad\"}"},
        {0, "none", NULL,
         "{\"article\":\"world/migrant-caravan\",\"reaction\":\"none\",\"outcome\":\"retracted\"}"},
        {0, "none", "sad",
         "{\"article\":\"world/migrant-caravan\",\"reaction\":\"none\",\"outcome\":\"superseded\","
         "\"current\":\"sad\"}"},
        {5, "angry", "none",
         "{\"article\":\"world/migrant-caravan\",\"reaction\":\"angry\",\"outcome\":\"superseded\","
         "\"current\":\"none\"}"},
    };
    static const char article[] = "world/migrant-caravan, and more that is not its";
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[RECEIPT_PAYLOAD_MAX_BYTES];
        struct record record = {.article = article, .article_bytes = 21, .kind = rows[i].kind};
        size_t bytes = receipt_write(out, &record, rows[i].request, rows[i].current);
        assert_string_equal(out, rows[i].payload);
        assert_int_equal(bytes, strlen(out));
    }
}

static void test_longest_payload(void **state)
{
    (void)state;
    char article[200], out[RECEIPT_PAYLOAD_MAX_BYTES];
    memset(article, 'a', sizeof article);
    struct record record = {.article = article, .article_bytes = sizeof article, .kind = 1};
    size_t bytes = receipt_write(out, &record, "abcdefghijklmnop", "abcdefghijklmnop");
    assert_true(bytes < sizeof out);
    assert_int_equal(out[bytes - 1], '}');
}

/* While the broker is away, a bounded number waits; what is too many is counted. */
static void test_the_queue_is_bounded(void **state)
{
    (void)state;
    struct receipt_box *box = receipt_new("news/");
    struct record record = {.article = "a",
                            .article_bytes = 1,
                            .kind = 1,
                            .client_id = "me",
                            .client_id_bytes = 2,
                            .correlation = (const unsigned char *)"xyz",
                            .correlation_bytes = 3};
    for (int i = 0; i < RECEIPT_WAITING_MAX + 5; i++)
        receipt_add(box, &record, "like", NULL);
    receipt_flush(box);
    assert_int_equal(receipt_sent(box), 0);
    assert_int_equal(receipt_dropped(box), 5);
    /* Those that were dropped came after those that wait. */
    assert_int_equal(receipt_given(box), RECEIPT_WAITING_MAX + 5);
    assert_int_equal(receipt_gone(box), 0);
    receipt_free(box);
}

static void give(struct receipt_box *box, int n)
{
    struct record record = {
        .article = "a", .article_bytes = 1, .kind = 1, .client_id = "me", .client_id_bytes = 2};
    for (int i = 0; i < n; i++)
        receipt_add(box, &record, "like", NULL);
}

/* A later outcome of the same request must not come before an earlier one. */
static void test_none_overtakes_those_that_wait(void **state)
{
    (void)state;
    struct receipt_box *box = receipt_new("");
    struct mqtt_link link = {.written = true};
    receipt_connect(box, &link);
    give(box, 2);
    link.up = true;
    give(box, 1);
    assert_int_equal(link.n, 0);
    assert_int_equal(receipt_gone(box), 0);
    receipt_flush(box);
    assert_int_equal(link.n, 3);
    give(box, 1);
    assert_int_equal(link.n, 4);
    receipt_free(box);
}

static void test_what_has_left_the_process(void **state)
{
    (void)state;
    struct receipt_box *box = receipt_new("");
    struct mqtt_link link = {.up = true, .written = true};
    assert_int_equal(receipt_gone(box), 0);
    give(box, 2); /* no link yet */
    assert_int_equal(receipt_gone(box), 0);
    receipt_connect(box, &link);
    receipt_flush(box);
    assert_int_equal(receipt_gone(box), 2);
    give(box, 1);
    assert_int_equal(receipt_gone(box), 3);
    link.written = false; /* they are with libmosquitto */
    give(box, 2);
    assert_int_equal(link.n, 5);
    assert_int_equal(receipt_gone(box), 3);
    link.backed_up = true;
    give(box, 4);
    assert_int_equal(receipt_gone(box), 3);
    link.written = true;
    assert_int_equal(receipt_gone(box), 5);
    link.up = link.backed_up = false; /* what waits here goes with the next connection */
    receipt_flush(box);
    assert_int_equal(receipt_gone(box), 5);
    link.up = true;
    receipt_flush(box);
    assert_int_equal(receipt_gone(box), 9);
    assert_true(receipt_given(box) == 9 && receipt_sent(box) == 9 && link.n == 9);
    receipt_free(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_longest_payload),
        cmocka_unit_test(test_the_queue_is_bounded),
        cmocka_unit_test(test_none_overtakes_those_that_wait),
        cmocka_unit_test(test_what_has_left_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

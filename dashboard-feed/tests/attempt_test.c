/* The commands of a small query without their script, with a server that the test plays. */
#include "unit.h"

#include "attempt.h"

#include <stdio.h>
#include <string.h>

#define ID "00000000000000aa"
#define SENT_MAX 16
#define LOOK "HMGET meta store version"

/* ---- the server ---- */

static struct {
    struct {
        redis_link_cb *callback;
        void *user;
        char text[256]; /* its words */
    } sent[SENT_MAX];
    size_t n, limit; /* limit: then nothing more can be sent */
    char got[256];   /* what the caller was answered */
    unsigned calls;
} server;

int store_link_send(struct store_link *link, uint32_t shard, redis_link_cb *callback, void *user,
                    int n, const char **words, const size_t *bytes)
{
    (void)link;
    assert_int_equal(shard, 3);
    if (server.n == server.limit)
        return -1;
    char *text = server.sent[server.n].text;
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof server.sent[0].text - used, "%s%.*s", i > 0 ? " " : "",
                 (int)bytes[i], words[i]);
    }
    server.sent[server.n].callback = callback;
    server.sent[server.n++].user = user;
    return 0;
}

const char *store_link_id(const struct store_link *link)
{
    (void)link;
    return ID;
}

void store_link_key(const struct store_link *link, char key[REDIS_KEY_BYTES], uint32_t shard,
                    const char *name)
{
    (void)link;
    (void)shard;
    snprintf(key, REDIS_KEY_BYTES, "%s", name);
}

void store_link_another(struct store_link *link, uint32_t shard)
{
    (void)link;
    (void)shard;
}

void store_link_refuse(struct store_link *link, uint32_t shard, const redisReply *reply,
                       const char *why)
{
    (void)link;
    (void)shard;
    (void)reply;
    (void)why;
}

/* Answers the command of this number: NULL, an error where it begins with '-', else a list of words
 * separated by spaces, of which `nil` is none. */
static void answer(size_t number, const char *text)
{
    char copy[128];
    redisReply word[8] = {{0}}, *element[8], list = {.type = REDIS_REPLY_ARRAY, .element = element};
    if (text == NULL) {
        server.sent[number].callback(server.sent[number].user, NULL);
        return;
    }
    snprintf(copy, sizeof copy, "%s", text);
    if (text[0] == '-') {
        list = (redisReply){.type = REDIS_REPLY_ERROR, .str = copy, .len = strlen(copy)};
    } else {
        for (char *at = strtok(copy, " "); at != NULL; at = strtok(NULL, " ")) {
            redisReply *one = &word[list.elements];
            bool nil = strcmp(at, "nil") == 0;
            *one = (redisReply){.type = nil ? REDIS_REPLY_NIL : REDIS_REPLY_STRING};
            one->str = nil ? NULL : at;
            one->len = nil ? 0 : strlen(at);
            element[list.elements++] = one;
        }
    }
    server.sent[number].callback(server.sent[number].user, &list);
    memset(copy, '?', sizeof copy); /* nothing may be kept of it */
}

/* Writes down what came: words, with lists in brackets. */
static void note(const redisReply *reply)
{
    size_t used = strlen(server.got);
    const char *text = reply == NULL                       ? "lost"
                       : reply->type == REDIS_REPLY_STRING ? reply->str
                       : reply->type == REDIS_REPLY_ERROR  ? reply->str
                       : reply->type == REDIS_REPLY_NIL    ? "nil"
                                                           : "[";
    snprintf(server.got + used, sizeof server.got - used, "%s ", text);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        return;
    for (size_t i = 0; i < reply->elements; i++)
        note(reply->element[i]);
    used = strlen(server.got);
    snprintf(server.got + used, sizeof server.got - used, "] ");
}

static void on_reply(void *user, const redisReply *reply)
{
    assert_ptr_equal(user, &server);
    server.calls++;
    note(reply);
}

/* ---- a query ---- */

/* One that reads articles of the heads. */
static void begin(struct query *query, size_t limit, const char *key, int articles)
{
    memset(&server, 0, sizeof server);
    server.limit = limit;
    query_init(query, NULL, 3, key);
    query_command(query, 2 + articles);
    query_text(query, "HMGET");
    query_text(query, key);
}

/* Two articles of the heads, and the same of the base. Its words are gone afterwards. */
static int ask(size_t limit)
{
    struct query query;
    char key[8] = "heads", again[8] = "base", articles[2][4] = {"a", "bc"};
    begin(&query, limit, key, 2);
    for (int i = 0; i < 2; i++)
        query_text(&query, articles[i]);
    query_again(&query, again);
    int rc = attempt_send(&query, on_reply, &server);
    memset(key, '?', sizeof key - 1);
    memset(articles, '?', sizeof articles);
    memset(&query, '?', sizeof query);
    return rc;
}

static void answer_all(const char *first, const char *heads, const char *base, const char *last)
{
    assert_int_equal(ask(SENT_MAX), 0);
    assert_int_equal(server.n, 4);
    answer(0, first);
    answer(1, heads);
    answer(2, base);
    assert_int_equal(server.calls, 0);
    answer(3, last);
}

/* ---- tests ---- */

static void asks_between_two_looks(void **state)
{
    (void)state;
    answer_all(ID " 7", "x yy", "nil z", ID " 7");
    assert_string_equal(server.sent[0].text, LOOK);
    assert_string_equal(server.sent[1].text, "HMGET heads a bc");
    assert_string_equal(server.sent[2].text, "HMGET base a bc");
    assert_string_equal(server.sent[3].text, LOOK);
    assert_int_equal(server.calls, 1);
    assert_string_equal(server.got, "[ ok [ x yy ] [ nil z ] ] ");
    answer_all(ID " nil", "nil nil", "nil nil", ID " nil"); /* a shard without articles */
    assert_string_equal(server.got, "[ ok [ nil nil ] [ nil nil ] ] ");
    assert_int_equal(server.n, 4);
}

/* Whatever the answers leave open is asked of the script, whose answer is the caller's. */
static void asks_the_script(const char *first, const char *heads, const char *base,
                            const char *last)
{
    char want[96];
    answer_all(first, heads, base, last);
    assert_int_equal(server.n, 5);
    assert_int_equal(server.calls, 0);
    assert_int_equal(strncmp(server.sent[4].text, "EVALSHA ", 8), 0);
    snprintf(want, sizeof want, " 2 meta heads " ID " 4 HMGET heads a bc 0 base");
    assert_string_equal(strchr(server.sent[4].text + 8, ' '), want);
    answer(4, "store other");
    assert_int_equal(server.calls, 1);
    assert_string_equal(server.got, "[ store other ] ");
}

static void asks_the_script_if_anything_changed(void **state)
{
    (void)state;
    asks_the_script(ID " 7", "x yy", "nil z", ID " 8");
    asks_the_script(ID " 7", "x yy", "nil z", "00000000000000bb 7");
    asks_the_script("00000000000000bb 7", "x yy", "nil z", ID " 7");
    asks_the_script("00000000000000bb 7", "x yy", "nil z", "00000000000000bb 7");
    asks_the_script("nil nil", "nil nil", "nil nil", "nil nil");
    asks_the_script(ID " nil", "x yy", "nil z", ID " 7");
    asks_the_script(ID " 7", "x yy", "nil z", ID " nil");
}

static void asks_the_script_after_an_error(void **state)
{
    (void)state;
    asks_the_script("-BUSY", "-BUSY", "-BUSY", "-BUSY");
    asks_the_script(ID " 7", "-WRONGTYPE", "nil z", ID " 7");
    asks_the_script(ID " 7", "x yy", "nil z", "-BUSY");
}

static void fails_without_an_answer(void **state)
{
    (void)state;
    answer_all(ID " 7", NULL, "nil z", ID " 7"); /* as where the shard moves meanwhile */
    assert_string_equal(server.got, "lost ");
    answer_all(NULL, NULL, NULL, NULL);
    assert_string_equal(server.got, "lost ");
    assert_int_equal(server.calls, 1);
    assert_int_equal(server.n, 4);
}

static void fails_if_not_all_can_be_sent(void **state)
{
    (void)state;
    assert_int_equal(ask(0), -1);
    assert_int_equal(server.calls, 0);
    assert_int_equal(ask(2), 0);
    answer(0, ID " 7");
    assert_int_equal(server.calls, 0);
    answer(1, "x yy");
    assert_int_equal(server.calls, 1);
    assert_string_equal(server.got, "lost ");
    answer_all(ID " 7", "x yy", "nil z", ID " 8");
    answer(4, NULL);
    assert_string_equal(server.got, "lost ");
    assert_int_equal(ask(4), 0); /* not even the script */
    answer(0, ID " 7");
    answer(1, "x yy");
    answer(2, "nil z");
    answer(3, ID " 8");
    assert_string_equal(server.got, "lost ");
}

static void large_ones_are_the_script_s(void **state)
{
    struct query query;
    (void)state;
    begin(&query, SENT_MAX, "heads", 100);
    for (int i = 0; i < 100; i++)
        query_text(&query, "a");
    assert_int_equal(attempt_send(&query, on_reply, &server), 0);
    assert_int_equal(server.n, 1);
    assert_int_equal(strncmp(server.sent[0].text, "EVALSHA ", 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_between_two_looks),
        cmocka_unit_test(asks_the_script_if_anything_changed),
        cmocka_unit_test(asks_the_script_after_an_error),
        cmocka_unit_test(fails_without_an_answer),
        cmocka_unit_test(fails_if_not_all_can_be_sent),
        cmocka_unit_test(large_ones_are_the_script_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

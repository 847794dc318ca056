#include "unit.h"

#include "known.h"

#include "known_file.h"
#include "temp.h"

#define HOUR_MS UINT64_C(3600000)
#define NOW_MS (500000 * HOUR_MS)
#define NOW_NS (77 * LIMIT_SECOND_NS)
#define ROOM 8

static unsigned char *memory;
static struct known_rules rules;
static struct known *known;
static struct known_file *file;
static uint64_t now_ns, unix_ms;

static int begin(void **state)
{
    if (temp_setup(state) != 0)
        return -1;
    rules = (struct known_rules){
        .max = ROOM,
        .auto_create = true,
        .auto_create_rate = limit_rate_of(60, 60 * LIMIT_SECOND_NS, 60),
        .seed = 3,
    };
    memcpy(rules.key.bytes, "0123456789abcdef", READER_KEY_BYTES);
    now_ns = NOW_NS;
    unix_ms = NOW_MS;
    memory = calloc(1, known_bytes(ROOM));
    known_format(memory, ROOM);
    known = known_new(memory, &rules);
    file = NULL;
    return known == NULL ? -1 : 0;
}

static int end(void **state)
{
    known_free(known);
    known_file_close(file);
    free(memory);
    return temp_teardown(state);
}

/* The broker was killed, and starts again with what lies in the memory. */
static void again(void)
{
    known_free(known);
    known = known_new(memory, &rules);
    assert_non_null(known);
}

static enum known_verdict judge(const char *article)
{
    return known_judge(known, article, strlen(article), now_ns, unix_ms).verdict;
}

/* A reaction that everything else admits. */
static bool react(const char *article)
{
    struct known_answer answer = known_judge(known, article, strlen(article), now_ns, unix_ms);
    if (answer.verdict == KNOWN_NO)
        return false;
    known_use(known, &answer, article, strlen(article), now_ns, unix_ms);
    return true;
}

static bool by_operator(const char *article)
{
    return known_by_operator(known, article, strlen(article), unix_ms);
}

static void no_more(const char *article)
{
    known_by_operator_no_more(known, article, strlen(article));
}

static void fill(const char *prefix, int n)
{
    char article[32];
    for (int i = 0; i < n; i++) {
        snprintf(article, sizeof article, "%s-%d", prefix, i);
        require(react(article), "%s", article);
    }
}

static void a_reaction_makes_it_known(void **state)
{
    (void)state;
    assert_int_equal(judge("world/x"), KNOWN_MAY_BE);
    assert_int_equal(known_count(known), 0); /* to judge changes nothing */
    assert_true(react("world/x"));
    assert_int_equal(judge("world/x"), KNOWN_YES);
    assert_int_equal(judge("world/y"), KNOWN_MAY_BE);
    assert_int_equal(known_count(known), 1);
    again();
    assert_int_equal(judge("world/x"), KNOWN_YES);
    assert_int_equal(known_count(known), 1);
}

static void so_many_a_minute(void **state)
{
    (void)state;
    rules.auto_create_rate = limit_rate_of(2, 60 * LIMIT_SECOND_NS, 2);
    again();
    assert_true(react("a"));
    assert_true(react("b"));
    assert_false(react("c"));
    assert_true(react("a")); /* what is known needs no token */
    now_ns += 29 * LIMIT_SECOND_NS;
    assert_false(react("c"));
    now_ns += LIMIT_SECOND_NS;
    assert_true(react("c"));
    assert_false(react("d"));
}

static void at_the_cap_none_but_for_a_quiet_one(void **state)
{
    (void)state;
    fill("old", ROOM);
    assert_false(react("new"));
    assert_int_equal(known_count(known), ROOM);
    unix_ms += KNOWN_QUIET_HOURS * HOUR_MS - 1;
    assert_false(react("new"));
    assert_true(react("old-0")); /* not quiet any more */
    unix_ms += 1;
    assert_true(react("new"));
    assert_int_equal(known_count(known), ROOM);
    assert_int_equal(judge("old-0"), KNOWN_YES);
    assert_int_equal(judge("new"), KNOWN_YES);
    assert_int_equal(judge("old-1"), KNOWN_MAY_BE); /* the stalest was forgotten */
    again();
    assert_int_equal(judge("old-2"), KNOWN_YES);
    assert_int_equal(judge("new"), KNOWN_YES);
    assert_int_equal(judge("old-1"), KNOWN_MAY_BE);
}

static void the_order_of_use_outlives_a_restart(void **state)
{
    (void)state;
    fill("old", ROOM);
    unix_ms += HOUR_MS;
    for (int i = 0; i < ROOM; i++) {
        char article[32];
        snprintf(article, sizeof article, "old-%d", i);
        if (i != 5)
            assert_true(react(article));
    }
    again();
    unix_ms = NOW_MS + KNOWN_QUIET_HOURS * HOUR_MS;
    assert_true(react("new"));
    assert_int_equal(judge("old-5"), KNOWN_NO); /* the others were used an hour later */
    for (int i = 0; i < ROOM; i++) {
        char article[32];
        snprintf(article, sizeof article, "old-%d", i);
        if (i != 5)
            require(judge(article) == KNOWN_YES, "%s", article);
    }
}

static void a_clock_set_back_makes_nothing_quiet(void **state)
{
    (void)state;
    fill("old", ROOM);
    unix_ms -= 1000 * HOUR_MS;
    assert_false(react("new"));
    unix_ms = 0;
    assert_false(react("new"));
    assert_true(react("old-0"));
}

static void only_the_operators_where_none_is_created(void **state)
{
    (void)state;
    assert_true(react("found"));
    rules.auto_create = false;
    again();
    assert_int_equal(judge("found"), KNOWN_NO);
    assert_int_equal(judge("made"), KNOWN_NO);
    assert_true(by_operator("made"));
    assert_true(by_operator("found"));
    assert_int_equal(judge("made"), KNOWN_YES);
    assert_int_equal(judge("found"), KNOWN_YES);
    known_by_total(known, "total", 5, unix_ms);
    assert_int_equal(judge("total"), KNOWN_NO);
    again();
    assert_int_equal(judge("made"), KNOWN_YES);
    assert_int_equal(judge("found"), KNOWN_YES);
    no_more("made");
    no_more("never-made");
    assert_int_equal(judge("made"), KNOWN_NO);
    again();
    assert_int_equal(judge("made"), KNOWN_NO);
    assert_int_equal(judge("found"), KNOWN_YES);
}

static void the_operators_are_never_forgotten(void **state)
{
    (void)state;
    assert_true(by_operator("made-0"));
    assert_true(by_operator("made-1"));
    fill("found", ROOM - 2);
    /* Whoever it is, an operator's article takes the place of a reader's. */
    assert_true(by_operator("made-2"));
    assert_int_equal(known_count(known), ROOM);
    assert_int_equal(judge("found-0"), KNOWN_NO);
    assert_int_equal(judge("found-1"), KNOWN_YES);
    unix_ms += 10000 * HOUR_MS;
    for (int i = 1; i < ROOM - 2; i++) {
        char article[32];
        snprintf(article, sizeof article, "later-%d", i);
        require(react(article), "%s", article);
    }
    assert_int_equal(judge("made-0"), KNOWN_YES);
    assert_int_equal(judge("made-1"), KNOWN_YES);
    assert_int_equal(judge("made-2"), KNOWN_YES);
    assert_int_equal(judge("found-5"), KNOWN_NO);
    for (int i = 3; i < ROOM; i++) {
        char article[32];
        snprintf(article, sizeof article, "made-%d", i);
        require(by_operator(article), "%s", article);
    }
    assert_false(by_operator("one-too-many"));
    assert_true(by_operator("made-7")); /* again */
    assert_false(react("new"));
    again();
    assert_false(by_operator("one-too-many"));
    no_more("made-3");
    assert_true(by_operator("one-too-many"));
    assert_int_equal(judge("made-3"), KNOWN_NO);
}

static void a_total_makes_it_known_without_a_token(void **state)
{
    (void)state;
    rules.auto_create_rate = limit_rate_of(1, 60 * LIMIT_SECOND_NS, 1);
    again();
    for (int i = 0; i < ROOM - 1; i++) {
        char article[32];
        snprintf(article, sizeof article, "total-%d", i);
        known_by_total(known, article, strlen(article), unix_ms);
        known_by_total(known, article, strlen(article), unix_ms);
        require(judge(article) == KNOWN_YES, "%s", article);
    }
    assert_int_equal(known_count(known), ROOM - 1);
    assert_true(react("new"));
    known_by_total(known, "one-too-many", 12, unix_ms);
    assert_int_equal(judge("one-too-many"), KNOWN_NO);
}

static void what_is_damaged_is_not_known(void **state)
{
    uint64_t seed = 5;
    (void)state;
    fill("old", ROOM);
    for (int i = 0; i < 2000; i++) {
        unsigned char *copy = malloc(known_bytes(ROOM));
        memcpy(copy, memory, known_bytes(ROOM));
        size_t at = 4096 + unit_random(&seed) % (known_bytes(ROOM) - 4096);
        copy[at] ^= (unsigned char)(1 + unit_random(&seed) % 255);
        struct known *damaged = known_new(copy, &rules);
        size_t in_entry = (at - 4096) % ((known_bytes(ROOM) - 4096) / ROOM);
        /* Hour, flag and what is reserved beside it stand outside of the checksum; a length of 0 is
         * a free place. */
        uint32_t lost = in_entry >= 4 && in_entry < 12 ? 0 : 1;
        require(known_count(damaged) == ROOM - lost, "byte %zu", at);
        require(known_damaged(damaged) <= lost, "byte %zu", at);
        known_free(damaged);
        free(copy);
    }
}

static void garbage_is_nothing(void **state)
{
    uint64_t seed = 6;
    (void)state;
    for (int i = 0; i < 500; i++) {
        for (size_t at = 0; at < known_bytes(ROOM); at++)
            memory[at] = (unsigned char)unit_random(&seed);
        assert_false(known_fits(memory, known_bytes(ROOM), ROOM));
        again();
        assert_int_equal(known_count(known), 0);
    }
}

static void a_file_fits_only_its_own_size(void **state)
{
    (void)state;
    assert_true(known_fits(memory, known_bytes(ROOM), ROOM));
    assert_false(known_fits(memory, known_bytes(ROOM) - 1, ROOM));
    assert_false(known_fits(memory, known_bytes(ROOM + 1), ROOM + 1));
    for (size_t i = 0; i < 24; i++) {
        memory[i] ^= 1;
        assert_false(known_fits(memory, known_bytes(ROOM), ROOM));
        memory[i] ^= 1;
    }
}

/* --- the file --- */

static char note[256], error[512];

static void open_file(uint32_t max)
{
    known_file_close(file);
    rules.max = max;
    file = known_file_open(temp_folder, &rules, note, sizeof note, error, sizeof error);
    require(file != NULL, "%s", error);
    known_free(known);
    known = NULL;
}

static enum known_verdict judge_in_file(const char *article)
{
    return known_judge(known_file_known(file), article, strlen(article), now_ns, unix_ms).verdict;
}

static void put_in_file(const char *article)
{
    struct known_answer answer =
        known_judge(known_file_known(file), article, strlen(article), now_ns, unix_ms);
    assert_int_equal(answer.verdict, KNOWN_MAY_BE);
    known_use(known_file_known(file), &answer, article, strlen(article), now_ns, unix_ms);
    unix_ms += HOUR_MS;
}

static void the_file_goes_on(void **state)
{
    (void)state;
    open_file(ROOM);
    assert_string_equal(note, "");
    put_in_file("a");
    put_in_file("b");
    open_file(ROOM);
    assert_int_equal(judge_in_file("a"), KNOWN_YES);
    assert_int_equal(judge_in_file("b"), KNOWN_YES);
    assert_int_equal(judge_in_file("c"), KNOWN_MAY_BE);
    assert_string_equal(note, "");
}

static void the_file_grows_and_shrinks(void **state)
{
    (void)state;
    open_file(4);
    assert_true(known_by_operator(known_file_known(file), "made", 4, unix_ms));
    put_in_file("a");
    put_in_file("b");
    put_in_file("c");
    open_file(100);
    assert_int_equal(known_count(known_file_known(file)), 4);
    assert_int_equal(judge_in_file("made"), KNOWN_YES);
    put_in_file("d");
    open_file(3);
    assert_int_equal(known_count(known_file_known(file)), 3);
    assert_int_equal(judge_in_file("made"), KNOWN_YES); /* the operator's, and the last used */
    assert_int_equal(judge_in_file("c"), KNOWN_YES);
    assert_int_equal(judge_in_file("d"), KNOWN_YES);
    assert_int_equal(access(temp_path("known.new"), F_OK), -1);
}

static void change_byte(off_t at)
{
    unsigned char byte;
    int fd = open(temp_path("known"), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void a_damaged_file_loses_what_is_damaged(void **state)
{
    (void)state;
    open_file(ROOM);
    put_in_file("a");
    put_in_file("b");
    known_file_close(file);
    file = NULL;
    change_byte(3);         /* of the header: the articles are found all the same */
    change_byte(4096 + 13); /* the first article's first letter */
    open_file(ROOM);
    assert_int_equal(judge_in_file("a"), KNOWN_MAY_BE);
    assert_int_equal(judge_in_file("b"), KNOWN_YES);
    assert_non_null(strstr(note, "1 were damaged"));
    open_file(ROOM); /* it was made anew, without it */
    assert_string_equal(note, "");
    assert_int_equal(judge_in_file("b"), KNOWN_YES);
    known_file_close(file);
    file = NULL;
    temp_write("known", "x", 1, 0660);
    temp_write("known.new", "y", 1, 0660);
    open_file(ROOM);
    assert_int_equal(known_count(known_file_known(file)), 0);
}

static void a_file_that_cannot_be_made_is_said(void **state)
{
    (void)state;
    assert_null(known_file_open("/nowhere/at/all", &rules, note, sizeof note, error, sizeof error));
    assert_non_null(strstr(error, "/nowhere/at/all"));
    assert_int_equal(mkdir(temp_path("known"), 0700), 0);
    assert_null(known_file_open(temp_folder, &rules, note, sizeof note, error, sizeof error));
    assert_non_null(strstr(error, "known"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reaction_makes_it_known),
        TEST(so_many_a_minute),
        TEST(at_the_cap_none_but_for_a_quiet_one),
        TEST(the_order_of_use_outlives_a_restart),
        TEST(a_clock_set_back_makes_nothing_quiet),
        TEST(only_the_operators_where_none_is_created),
        TEST(the_operators_are_never_forgotten),
        TEST(a_total_makes_it_known_without_a_token),
        TEST(what_is_damaged_is_not_known),
        TEST(garbage_is_nothing),
        TEST(a_file_fits_only_its_own_size),
        TEST(the_file_goes_on),
        TEST(the_file_grows_and_shrinks),
        TEST(a_damaged_file_loses_what_is_damaged),
        TEST(a_file_that_cannot_be_made_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

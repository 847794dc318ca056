#include "unit.h"

#include "registry.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "registry_file.h"
#include "registry_layout.h"
#include "registry_state.h"
#include "temp.h"

#define HOUR_MS UINT64_C(3600000)
#define NOW_MS (500000 * HOUR_MS)
#define NOW_NS (77 * LIMIT_SECOND_NS)
#define ROOM 8

static unsigned char *memory;
static struct registry_rules rules;
static struct registry *registry;
static struct registry_file *file;
static uint64_t now_ns, unix_ms;

static int begin(void **state)
{
    if (temp_setup(state) != 0)
        return -1;
    rules = (struct registry_rules){
        .max = ROOM,
        .auto_create = true,
        .auto_create_rate = limit_rate_of(60, 60 * LIMIT_SECOND_NS, 60),
        .seed = 3,
    };
    memcpy(rules.key.bytes, "0123456789abcdef", READER_KEY_BYTES);
    if (kind_table_parse(&rules.kinds, "like,angry,sad", NULL) != 0)
        return -1;
    now_ns = NOW_NS;
    unix_ms = NOW_MS;
    memory = calloc(1, registry_layout_bytes(ROOM));
    registry_layout_format(memory, ROOM, &rules.kinds);
    registry = registry_new(memory, &rules);
    file = NULL;
    return registry == NULL ? -1 : 0;
}

static int end(void **state)
{
    registry_free(registry);
    registry_file_close(file);
    free(memory);
    return temp_teardown(state);
}

/* The broker was killed, and starts again with what lies in the memory. */
static void again(void)
{
    registry_free(registry);
    registry = registry_new(memory, &rules);
    assert_non_null(registry);
}

static enum registry_verdict judge(const char *article)
{
    return registry_judge(registry, article, strlen(article), now_ns, unix_ms).verdict;
}

/* Reader `reader` of address `address`. */
static struct registry_actor who(uint64_t address, uint64_t reader)
{
    return (struct registry_actor){.key = address, .address = true, .reader = reader << 32};
}

/* A reaction that everything else admits. */
static bool react_as(const char *article, uint64_t address, uint64_t reader)
{
    struct registry_answer answer =
        registry_judge(registry, article, strlen(article), now_ns, unix_ms);
    struct registry_actor by = who(address, reader);
    if (answer.verdict == REGISTRY_UNKNOWN)
        return false;
    registry_use(registry, &answer, article, strlen(article), &by, now_ns, unix_ms);
    return true;
}

static bool react(const char *article)
{
    return react_as(article, 1, 1);
}

static enum registry_outcome tell_in(struct registry *one, const char *article, const char *payload)
{
    struct article_state said;
    size_t bytes = strlen(article);
    require(article_state_parse(&said, article, bytes, payload, strlen(payload)) == 0, "%s",
            payload);
    return registry_set_state(one, article, bytes, &said, unix_ms);
}

static enum registry_outcome tell(const char *article, const char *payload)
{
    return tell_in(registry, article, payload);
}

static bool by_operator(const char *article)
{
    return tell(article, "open") == REGISTRY_APPLIED;
}

static void no_more(const char *article)
{
    assert_int_equal(registry_clear_state(registry, article, strlen(article), false),
                     REGISTRY_APPLIED);
}

/* What its state says of a kind: 'n' none, 'c' closed, 'u' not offered, 'y' taken. */
static char takes_in(struct registry *one, const char *article, int kind)
{
    struct registry_answer answer = registry_judge(one, article, strlen(article), now_ns, unix_ms);
    if (answer.state == NULL)
        return 'n';
    return !registry_state_offers(answer.state, kind)       ? 'u'
           : !registry_state_accepts(answer.state, unix_ms) ? 'c'
                                                            : 'y';
}

static char takes(const char *article, int kind)
{
    return takes_in(registry, article, kind);
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
    assert_int_equal(judge("world/x"), REGISTRY_MAY_REGISTER);
    assert_int_equal(registry_count(registry), 0); /* to judge changes nothing */
    assert_true(react("world/x"));
    assert_int_equal(judge("world/x"), REGISTRY_KNOWN);
    assert_int_equal(judge("world/y"), REGISTRY_MAY_REGISTER);
    assert_int_equal(registry_count(registry), 1);
    again();
    assert_int_equal(judge("world/x"), REGISTRY_KNOWN);
    assert_int_equal(registry_count(registry), 1);
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
    assert_int_equal(registry_count(registry), ROOM);
    unix_ms += REGISTRY_QUIET_HOURS * HOUR_MS - 1;
    assert_false(react("new"));
    assert_true(react("old-0")); /* not quiet any more */
    unix_ms += 1;
    assert_true(react("new"));
    assert_int_equal(registry_count(registry), ROOM);
    assert_int_equal(judge("old-0"), REGISTRY_KNOWN);
    assert_int_equal(judge("new"), REGISTRY_KNOWN);
    assert_int_equal(judge("old-1"), REGISTRY_MAY_REGISTER); /* the stalest was forgotten */
    again();
    assert_int_equal(judge("old-2"), REGISTRY_KNOWN);
    assert_int_equal(judge("new"), REGISTRY_KNOWN);
    assert_int_equal(judge("old-1"), REGISTRY_MAY_REGISTER);
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
    unix_ms = NOW_MS + REGISTRY_QUIET_HOURS * HOUR_MS;
    assert_true(react("new"));
    assert_int_equal(judge("old-5"), REGISTRY_UNKNOWN); /* the others were used an hour later */
    for (int i = 0; i < ROOM; i++) {
        char article[32];
        snprintf(article, sizeof article, "old-%d", i);
        if (i != 5)
            require(judge(article) == REGISTRY_KNOWN, "%s", article);
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
    assert_int_equal(judge("found"), REGISTRY_UNKNOWN);
    assert_int_equal(judge("made"), REGISTRY_UNKNOWN);
    assert_true(by_operator("made"));
    assert_true(by_operator("found"));
    assert_int_equal(judge("made"), REGISTRY_KNOWN);
    assert_int_equal(judge("found"), REGISTRY_KNOWN);
    registry_total_found(registry, "total", 5, unix_ms);
    assert_int_equal(judge("total"), REGISTRY_UNKNOWN);
    again();
    assert_int_equal(judge("made"), REGISTRY_KNOWN);
    assert_int_equal(judge("found"), REGISTRY_KNOWN);
    no_more("made");
    no_more("never-made");
    assert_int_equal(judge("made"), REGISTRY_UNKNOWN);
    again();
    assert_int_equal(judge("made"), REGISTRY_UNKNOWN);
    assert_int_equal(judge("found"), REGISTRY_KNOWN);
}

static void the_operators_are_never_forgotten(void **state)
{
    (void)state;
    assert_true(by_operator("made-0"));
    assert_true(by_operator("made-1"));
    fill("found", ROOM - 2);
    /* An operator's article always takes the place of a reader's. */
    assert_true(by_operator("made-2"));
    assert_int_equal(registry_count(registry), ROOM);
    assert_int_equal(judge("found-0"), REGISTRY_UNKNOWN);
    assert_int_equal(judge("found-1"), REGISTRY_KNOWN);
    unix_ms += 10000 * HOUR_MS;
    for (int i = 1; i < ROOM - 2; i++) {
        char article[32];
        snprintf(article, sizeof article, "later-%d", i);
        require(react(article), "%s", article);
    }
    assert_int_equal(judge("made-0"), REGISTRY_KNOWN);
    assert_int_equal(judge("made-1"), REGISTRY_KNOWN);
    assert_int_equal(judge("made-2"), REGISTRY_KNOWN);
    assert_int_equal(judge("found-5"), REGISTRY_UNKNOWN);
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
    assert_int_equal(judge("made-3"), REGISTRY_UNKNOWN);
}

static void a_total_makes_it_known_without_a_token(void **state)
{
    (void)state;
    rules.auto_create_rate = limit_rate_of(1, 60 * LIMIT_SECOND_NS, 1);
    again();
    for (int i = 0; i < ROOM - 1; i++) {
        char article[32];
        snprintf(article, sizeof article, "total-%d", i);
        registry_total_found(registry, article, strlen(article), unix_ms);
        registry_total_found(registry, article, strlen(article), unix_ms);
        require(judge(article) == REGISTRY_KNOWN, "%s", article);
    }
    assert_int_equal(registry_count(registry), ROOM - 1);
    assert_true(react("new"));
    registry_total_found(registry, "one-too-many", 12, unix_ms);
    assert_int_equal(judge("one-too-many"), REGISTRY_UNKNOWN);
}

/* --- states --- */

#define NOON "\"2027-01-15T08:00:00Z\"" /* NOW_MS: 500,000 hours */
#define AFTER "\"2027-01-15T08:00:01Z\""
#define BEFORE "\"2027-01-15T07:59:59Z\""

static void a_state_is_enforced(void **state)
{
    static const struct {
        const char *payload;
        const char *says; /* of none, like, angry, sad */
    } rows[] = {
        {"open", "yyyy"},
        {"closed", "cccc"},
        {"{\"kinds\":[\"sad\",\"like\"]}", "yyuy"},
        {"{\"kinds\":[\"angry\"],\"state\":\"closed\"}", "cucu"},
        {"{\"opens_at\":" NOON "}", "yyyy"},
        {"{\"opens_at\":" AFTER "}", "cccc"},
        {"{\"closes_at\":" NOON "}", "cccc"},
        {"{\"closes_at\":" AFTER "}", "yyyy"},
        {"{\"opens_at\":" BEFORE ",\"closes_at\":" AFTER ",\"results\":\"after_close\"}", "yyyy"},
        {"{\"kinds\":[\"like\",\"gone\"],\"version\":7}", "yyuu"},
        {"{\"kinds\":[\"gone\"],\"version\":8}", "yuuu"},
    };
    (void)state;
    assert_true(react("found"));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int fresh = 0; fresh < 2; fresh++) {
            const char *article = fresh ? "made" : "found";
            require(tell(article, rows[i].payload) == REGISTRY_APPLIED, "%s", rows[i].payload);
            for (int restarted = 0; restarted < 2; restarted++) {
                for (int kind = 0; kind < 4; kind++)
                    require(takes(article, kind) == rows[i].says[kind], "%s: kind %d",
                            rows[i].payload, kind);
                again();
            }
            require(judge(article) == REGISTRY_KNOWN, "%s", rows[i].payload);
        }
        assert_int_equal(registry_damaged_states(registry), 0);
        if (i % 2 == 0)
            no_more("made");
        require((takes("made", 0) == 'n') == (i % 2 == 0), "%s", rows[i].payload);
    }
    assert_int_equal(registry_count(registry), 2);
}

static void times_are_those_of_the_call(void **state)
{
    (void)state;
    assert_int_equal(tell("a", "{\"opens_at\":" BEFORE ",\"closes_at\":" AFTER "}"),
                     REGISTRY_APPLIED);
    unix_ms = NOW_MS - 1001;
    assert_int_equal(takes("a", 1), 'c');
    unix_ms = NOW_MS - 1000;
    assert_int_equal(takes("a", 1), 'y');
    unix_ms = NOW_MS + 999;
    assert_int_equal(takes("a", 1), 'y');
    unix_ms = NOW_MS + 1000;
    assert_int_equal(takes("a", 1), 'c');
}

static void what_cannot_hold_changes_nothing(void **state)
{
    unsigned char *before = malloc(registry_layout_bytes(ROOM));
    (void)state;
    assert_int_equal(tell("a", "{\"kinds\":[\"sad\"],\"version\":5}"), REGISTRY_APPLIED);
    assert_true(react("b"));
    memcpy(before, memory, registry_layout_bytes(ROOM));
    assert_int_equal(tell("a", "{\"kinds\":[\"sad\",\"gone\"]}"), REGISTRY_NO_SUCH_KIND);
    assert_int_equal(tell("b", "{\"kinds\":[\"gone\"],\"state\":\"closed\"}"),
                     REGISTRY_NO_SUCH_KIND);
    assert_int_equal(tell("c", "{\"kinds\":[\"gone\"]}"), REGISTRY_NO_SUCH_KIND);
    assert_int_equal(tell("a", "{\"kinds\":[\"sad\"],\"version\":5}"),
                     REGISTRY_APPLIED); /* as it is */
    assert_memory_equal(before, memory, registry_layout_bytes(ROOM));
    free(before);
}

/* What the feed had sent off before it heard of an operator's change comes after that. */
static void the_feed_does_not_undo_what_it_has_not_heard(void **state)
{
    (void)state;
    assert_int_equal(tell("a", "{\"version\":10}"), REGISTRY_APPLIED);
    assert_int_equal(tell("a", "{\"version\":9,\"state\":\"closed\"}"),
                     REGISTRY_APPLIED); /* another store's */
    assert_int_equal(takes("a", 1), 'c');
    assert_int_equal(tell("a", "{\"version\":10}"), REGISTRY_APPLIED);
    assert_int_equal(tell("a", "closed"), REGISTRY_APPLIED);
    for (int restarted = 0; restarted < 2; restarted++) {
        assert_int_equal(tell("a", "{\"version\":10}"), REGISTRY_OUTDATED);
        assert_int_equal(registry_clear_state(registry, "a", 1, true), REGISTRY_OUTDATED);
        assert_int_equal(takes("a", 1), 'c');
        again();
    }
    assert_int_equal(tell("a", "{\"version\":11,\"state\":\"closed\"}"), REGISTRY_APPLIED);
    assert_int_equal(registry_clear_state(registry, "a", 1, true), REGISTRY_APPLIED);
    assert_int_equal(takes("a", 1), 'n');
    assert_int_equal(tell("a", "closed"), REGISTRY_APPLIED);
    no_more("a"); /* an operator */
    assert_int_equal(takes("a", 1), 'n');
}

/* Those that no feed has passed on are told of at the next start, as an operator wrote them. */
static void what_was_not_passed_on_is_told_of(void **state)
{
    struct article_state said;
    const char *article;
    char text[ARTICLE_STATE_TEXT_MAX_BYTES];
    size_t bytes;
    (void)state;
    assert_int_equal(tell("passed", "{\"state\":\"closed\",\"version\":3}"), REGISTRY_APPLIED);
    assert_int_equal(tell("waits", "{\"kinds\":[\"sad\",\"like\"],\"closes_at\":" AFTER
                                   ",\"results\":\"after_close\"}"),
                     REGISTRY_APPLIED);
    assert_int_equal(tell("later", "closed"), REGISTRY_APPLIED);
    assert_int_equal(tell("gone", "closed"), REGISTRY_APPLIED);
    assert_false(
        registry_next_unpassed(registry, &article, &bytes, &said)); /* the broker retains them */
    again();
    assert_int_equal(tell("later", "{\"state\":\"closed\",\"version\":4}"), REGISTRY_APPLIED);
    no_more("gone");
    assert_true(registry_next_unpassed(registry, &article, &bytes, &said));
    assert_int_equal(bytes, 5);
    assert_memory_equal(article, "waits", 5);
    assert_int_not_equal(article_state_write(&said, NULL, 0, false, text, sizeof text), 0);
    assert_string_equal(text, "{\"state\":\"open\",\"kinds\":[\"sad\",\"like\"],\"closes_at\":"
                              "\"2027-01-15T08:00:01.000Z\",\"results\":\"after_close\"}");
    assert_false(registry_next_unpassed(registry, &article, &bytes, &said));
}

static void where_everything_is_known_states_hold_all_the_same(void **state)
{
    (void)state;
    rules.everything = true;
    rules.auto_create = false;
    again();
    for (int i = 0; i < 3 * ROOM; i++) {
        char article[32];
        snprintf(article, sizeof article, "found-%d", i);
        require(react(article) && takes(article, 1) == 'n', "%s", article);
        registry_total_found(registry, article, strlen(article), unix_ms);
        if (i == ROOM)
            assert_int_equal(tell("shut", "closed"), REGISTRY_APPLIED);
    }
    assert_int_equal(registry_count(registry), 1);
    assert_int_equal(judge("shut"), REGISTRY_KNOWN);
    assert_int_equal(takes("shut", 1), 'c');
    again();
    assert_int_equal(takes("shut", 1), 'c');
    no_more("shut");
    assert_int_equal(judge("shut"), REGISTRY_KNOWN);
    assert_int_equal(takes("shut", 1), 'n');
}

#define ENTRY_BYTES 296
#define SELECTOR 8

/* What a broker that is killed leaves: all up to any store, and none after. Whatever of the bytes
 * that differ was stored, except the byte that decides, what was counts; with it, what is. */
static void killed_between(unsigned char *before, size_t decides, const char *was, const char *is)
{
    size_t bytes = registry_layout_bytes(ROOM), n = 0;
    unsigned char *after = malloc(bytes), *image = malloc(bytes);
    memcpy(after, memory, bytes);
    require(before[decides] != after[decides], "byte %zu decides", decides);
    for (size_t at = 0; at <= bytes; at++) {
        if (at < bytes && (at == decides || before[at] == after[at]))
            continue;
        for (int reversed = 0; reversed < 2; reversed++) { /* the first stores, and the last */
            memcpy(image, before, bytes);
            for (size_t k = 0; k < bytes; k++)
                if (k != decides && (reversed ? k >= at : k < at))
                    image[k] = after[k];
            struct registry *left = registry_new(image, &rules);
            char found[] = {takes_in(left, "a", 0), takes_in(left, "a", 1), takes_in(left, "a", 2),
                            '\0'};
            require(strcmp(found, was) == 0, "%s after byte %zu, not %s", found, at, was);
            assert_int_equal(registry_damaged_states(left), 0);
            registry_free(left);
        }
        n++;
    }
    assert_true(n > 1);
    memcpy(image, after, bytes);
    struct registry *left = registry_new(image, &rules);
    char found[] = {takes_in(left, "a", 0), takes_in(left, "a", 1), takes_in(left, "a", 2), '\0'};
    require(strcmp(found, is) == 0, "%s, not %s", found, is);
    registry_free(left);
    free(image);
    free(after);
}

static void killed_at_any_store_the_former_state_or_the_new_one_is_left(void **state)
{
    static const struct {
        const char *payload, *says;
    } steps[] = {
        {"closed", "ccc"},
        {"open", "yyy"},
        {"{\"kinds\":[\"like\"],\"closes_at\":" AFTER "}", "yyu"},
        {"{\"state\":\"closed\",\"version\":9}", "ccc"},
        {"{\"kinds\":[\"angry\"],\"version\":1795510800123456}", "yuy"},
    };
    const char *was = "nnn";
    unsigned char *before = malloc(registry_layout_bytes(ROOM));
    (void)state;
    assert_true(react("b"));
    assert_true(react("a"));
    size_t entry = 4096;
    while (memcmp(memory + entry + 12, "\001a", 3) != 0)
        entry += ENTRY_BYTES;
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        memcpy(before, memory, registry_layout_bytes(ROOM));
        assert_int_equal(tell("a", steps[i].payload), REGISTRY_APPLIED);
        killed_between(before, entry + SELECTOR, was, steps[i].says);
        was = steps[i].says;
    }
    free(before);
}

/* An article that was not known gets a state: it is there with it, or not there. */
static void killed_while_it_is_made_it_is_there_with_its_state_or_not_at_all(void **state)
{
    unsigned char *before = malloc(registry_layout_bytes(ROOM));
    (void)state;
    fill("old", ROOM); /* it takes another's place */
    memcpy(before, memory, registry_layout_bytes(ROOM));
    assert_int_equal(tell("a", "closed"), REGISTRY_APPLIED);
    size_t entry = 4096;
    while (memcmp(memory + entry + 12, "\001a", 3) != 0)
        entry += ENTRY_BYTES;
    before[entry + 12] = 0; /* as the first store leaves it */
    killed_between(before, entry + 12, "nnn", "ccc");
    free(before);
}

/* A machine that goes down writes pages in any order: the place that an article had without a state
 * may be there beside the one that it got with it. Whichever comes first, it is closed. */
static void of_two_entries_the_one_with_a_state_counts(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        unsigned char *entry[2] = {memory + 4096, memory + 4096 + ENTRY_BYTES};
        unsigned char without[ENTRY_BYTES];
        memset(memory + 4096, 0, (size_t)ROOM * ENTRY_BYTES);
        again();
        assert_true(react("a"));
        memcpy(without, entry[0], ENTRY_BYTES);
        assert_int_equal(tell("a", "closed"), REGISTRY_APPLIED);
        memcpy(entry[1], entry[0], ENTRY_BYTES);
        memcpy(entry[first], without, ENTRY_BYTES);
        for (int restarted = 0; restarted < 2; restarted++) {
            again();
            assert_int_equal(registry_count(registry), 1);
            assert_int_equal(takes("a", 1), 'c');
        }
        no_more("a");
        again();
        assert_int_equal(takes("a", 1), 'n');
    }
}

static void a_damaged_state_is_closed(void **state)
{
    unsigned char *copy = malloc(registry_layout_bytes(ROOM));
    (void)state;
    assert_int_equal(tell("a", "open"), REGISTRY_APPLIED);
    assert_int_equal(tell("a", "{\"kinds\":[\"like\"],\"version\":6}"), REGISTRY_APPLIED);
    size_t entry = 4096;
    while (memcmp(memory + entry + 12, "\001a", 3) != 0)
        entry += ENTRY_BYTES;
    size_t used = entry + (memory[entry + SELECTOR] == 1 ? 216 : 256);
    for (size_t at = entry + 216; at < entry + ENTRY_BYTES; at++) {
        bool in_use = at >= used && at < used + 40;
        memcpy(copy, memory, registry_layout_bytes(ROOM));
        copy[at] ^= 0x10;
        struct registry *left = registry_new(copy, &rules);
        require(registry_damaged_states(left) == (in_use ? 1 : 0), "byte %zu", at);
        require(takes_in(left, "a", 1) == (in_use ? 'c' : 'y'), "byte %zu", at);
        require(tell_in(left, "a", "{\"version\":6}") == REGISTRY_APPLIED, "byte %zu", at);
        require(takes_in(left, "a", 2) == 'y', "byte %zu", at); /* told again, it is good */
        registry_free(left);
    }
    for (int selector = 3; selector < 256; selector++) {
        memcpy(copy, memory, registry_layout_bytes(ROOM));
        copy[entry + SELECTOR] = (unsigned char)selector;
        struct registry *left = registry_new(copy, &rules);
        assert_int_equal(registry_damaged_states(left), 1);
        assert_int_equal(takes_in(left, "a", 1), 'c');
        registry_free(left);
    }
    free(copy);
}

static void what_is_damaged_is_not_known(void **state)
{
    uint64_t seed = 5;
    (void)state;
    fill("old", ROOM);
    for (int i = 0; i < 2000; i++) {
        unsigned char *copy = malloc(registry_layout_bytes(ROOM));
        memcpy(copy, memory, registry_layout_bytes(ROOM));
        size_t at = 4096 + unit_random(&seed) % (registry_layout_bytes(ROOM) - 4096);
        copy[at] ^= (unsigned char)(1 + unit_random(&seed) % 255);
        struct registry *damaged = registry_new(copy, &rules);
        size_t in_entry = (at - 4096) % ENTRY_BYTES;
        /* Hour, selector, what is reserved beside it, and notes are outside of the checksum; a
         * length of 0 is a free place. A damaged note may have been a state. */
        uint32_t lost = (in_entry >= 4 && in_entry < 12) || in_entry >= 216 ? 0 : 1;
        require(registry_count(damaged) == ROOM - lost, "byte %zu", at);
        require(registry_damaged(damaged) <= lost, "byte %zu", at);
        bool is_state = (in_entry == SELECTOR && copy[at] != 0) ||
                        (in_entry >= 216 && in_entry < 228); /* of a note: its checksum, its tag */
        require(registry_damaged_states(damaged) == (is_state ? 1 : 0), "byte %zu", at);
        registry_free(damaged);
        free(copy);
    }
}

static void garbage_is_nothing(void **state)
{
    uint64_t seed = 6;
    (void)state;
    for (int i = 0; i < 500; i++) {
        for (size_t at = 0; at < registry_layout_bytes(ROOM); at++)
            memory[at] = (unsigned char)unit_random(&seed);
        assert_false(registry_layout_fits(memory, registry_layout_bytes(ROOM), ROOM, &rules.kinds));
        again();
        assert_int_equal(registry_count(registry), 0);
    }
}

static void a_file_fits_only_its_own_size_and_kinds(void **state)
{
    struct kind_table others;
    (void)state;
    assert_true(registry_layout_fits(memory, registry_layout_bytes(ROOM), ROOM, &rules.kinds));
    assert_false(registry_layout_fits(memory, registry_layout_bytes(ROOM) - 1, ROOM, &rules.kinds));
    assert_false(
        registry_layout_fits(memory, registry_layout_bytes(ROOM + 1), ROOM + 1, &rules.kinds));
    for (size_t i = 0; i < 268; i++) {
        memory[i] ^= 1;
        assert_false(registry_layout_fits(memory, registry_layout_bytes(ROOM), ROOM, &rules.kinds));
        memory[i] ^= 1;
    }
    static const char *const lists[] = {"like,angry", "like,sad,angry", "like,angry,sad,wow"};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        assert_int_equal(kind_table_parse(&others, lists[i], NULL), 0);
        assert_false(registry_layout_fits(memory, registry_layout_bytes(ROOM), ROOM, &others));
    }
}

/* --- the file --- */

static char note[256];
static struct error error;

static void open_file(uint32_t max)
{
    registry_file_close(file);
    rules.max = max;
    file = registry_file_open(temp_folder, &rules, note, sizeof note, &error);
    require(file != NULL, "%s", error.text);
    registry_free(registry);
    registry = NULL;
}

static enum registry_verdict judge_in_file(const char *article)
{
    return registry_judge(registry_file_contents(file), article, strlen(article), now_ns, unix_ms)
        .verdict;
}

static void put_in_file(const char *article)
{
    struct registry_answer answer =
        registry_judge(registry_file_contents(file), article, strlen(article), now_ns, unix_ms);
    assert_int_equal(answer.verdict, REGISTRY_MAY_REGISTER);
    struct registry_actor by = who(1, 1);
    registry_use(registry_file_contents(file), &answer, article, strlen(article), &by, now_ns,
                 unix_ms);
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
    assert_int_equal(judge_in_file("a"), REGISTRY_KNOWN);
    assert_int_equal(judge_in_file("b"), REGISTRY_KNOWN);
    assert_int_equal(judge_in_file("c"), REGISTRY_MAY_REGISTER);
    assert_string_equal(note, "");
}

static void the_file_grows_and_shrinks(void **state)
{
    (void)state;
    open_file(4);
    assert_int_equal(tell_in(registry_file_contents(file), "made", "closed"), REGISTRY_APPLIED);
    put_in_file("a");
    put_in_file("b");
    put_in_file("c");
    open_file(100);
    assert_int_equal(registry_count(registry_file_contents(file)), 4);
    assert_int_equal(judge_in_file("made"), REGISTRY_KNOWN);
    put_in_file("d");
    open_file(3);
    assert_int_equal(registry_count(registry_file_contents(file)), 3);
    assert_int_equal(judge_in_file("made"), REGISTRY_KNOWN); /* the operator's, and the last used */
    assert_int_equal(takes_in(registry_file_contents(file), "made", 1), 'c');
    assert_int_equal(judge_in_file("c"), REGISTRY_KNOWN);
    assert_int_equal(judge_in_file("d"), REGISTRY_KNOWN);
    assert_int_equal(access(temp_path("registry.new"), F_OK), -1);
}

/* Nothing that is closed is forgotten by a smaller option. */
static void no_fewer_than_have_a_state(void **state)
{
    (void)state;
    open_file(4);
    for (const char *article = "abc"; *article != '\0'; article++) {
        char name[] = {*article, '\0'};
        assert_int_equal(tell_in(registry_file_contents(file), name, "closed"), REGISTRY_APPLIED);
    }
    put_in_file("found");
    registry_file_close(file);
    rules.max = 2;
    file = registry_file_open(temp_folder, &rules, note, sizeof note, &error);
    assert_null(file);
    assert_non_null(strstr(error.text, "max_articles"));
    open_file(3);
    assert_int_equal(registry_count(registry_file_contents(file)), 3);
    assert_int_equal(takes_in(registry_file_contents(file), "a", 1), 'c');
    assert_int_equal(takes_in(registry_file_contents(file), "c", 1), 'c');
}

static void set_kinds(const char *list)
{
    assert_int_equal(kind_table_parse(&rules.kinds, list, NULL), 0);
}

static void other_kinds_are_found_by_their_names(void **state)
{
    (void)state;
    open_file(ROOM);
    struct registry *one = registry_file_contents(file);
    assert_int_equal(tell_in(one, "both", "{\"kinds\":[\"sad\",\"like\"],\"version\":3}"),
                     REGISTRY_APPLIED);
    assert_int_equal(tell_in(one, "gone", "{\"kinds\":[\"angry\"]}"), REGISTRY_APPLIED);
    assert_int_equal(tell_in(one, "shut", "closed"), REGISTRY_APPLIED);
    set_kinds("wow,sad,like");
    open_file(ROOM);
    one = registry_file_contents(file);
    assert_string_equal(note, "");
    assert_int_equal(takes_in(one, "both", 1), 'u'); /* wow */
    assert_int_equal(takes_in(one, "both", 2), 'y'); /* sad */
    assert_int_equal(takes_in(one, "both", 3), 'y'); /* like */
    for (int kind = 1; kind <= 3; kind++)
        assert_int_equal(takes_in(one, "gone", kind), 'u');
    assert_int_equal(takes_in(one, "gone", 0), 'y');
    assert_int_equal(takes_in(one, "shut", 3), 'c');
    /* What offers no kind any more cannot be written down; the other is. */
    struct article_state said;
    const char *article;
    size_t bytes;
    assert_true(registry_next_unpassed(one, &article, &bytes, &said));
    assert_memory_equal(article, "shut", 4);
    assert_false(registry_next_unpassed(one, &article, &bytes, &said));
}

static void change_byte(off_t at)
{
    unsigned char byte;
    int fd = open(temp_path("registry"), O_RDWR);
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
    registry_file_close(file);
    file = NULL;
    change_byte(3);         /* of the header: the articles are found all the same */
    change_byte(4096 + 13); /* the first article's first letter */
    open_file(ROOM);
    assert_int_equal(judge_in_file("a"), REGISTRY_MAY_REGISTER);
    assert_int_equal(judge_in_file("b"), REGISTRY_KNOWN);
    assert_non_null(strstr(note, "1 were damaged"));
    open_file(ROOM); /* it was made again, without it */
    assert_string_equal(note, "");
    assert_int_equal(judge_in_file("b"), REGISTRY_KNOWN);
    registry_file_close(file);
    file = NULL;
    temp_write("registry", "x", 1, 0660);
    temp_write("registry.new", "y", 1, 0660);
    open_file(ROOM);
    assert_int_equal(registry_count(registry_file_contents(file)), 0);
}

static void a_file_that_cannot_be_made_is_said(void **state)
{
    (void)state;
    assert_null(registry_file_open("/nowhere/at/all", &rules, note, sizeof note, &error));
    assert_non_null(strstr(error.text, "/nowhere/at/all"));
    assert_int_equal(mkdir(temp_path("registry"), 0700), 0);
    assert_null(registry_file_open(temp_folder, &rules, note, sizeof note, &error));
    assert_non_null(strstr(error.text, "registry"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* --- what hardly anyone touched --- */

static unsigned char *wide_memory;

/* A table with room for more than anybody's CREATOR_KEPT. */
static struct registry *wide(void)
{
    rules.max = 64;
    rules.forget_hours = 6;
    wide_memory = calloc(1, registry_layout_bytes(rules.max));
    registry_layout_format(wide_memory, rules.max, &rules.kinds);
    registry_free(registry);
    registry = registry_new(wide_memory, &rules);
    assert_non_null(registry);
    return registry;
}

/* Articles that one round finds; `last` is the last of them. */
static int quiet_ones(struct registry_quiet *last)
{
    struct registry_quiet one;
    uint32_t looks = 2 * rules.max;
    int n = 0;
    for (; registry_next_quiet(registry, unix_ms, &looks, &one) == REGISTRY_FOUND; n++)
        *last = one;
    return n;
}

static void wide_end(void)
{
    registry_free(registry);
    registry = NULL;
    free(wide_memory);
}

static void invent(uint64_t address, int from, int to)
{
    char article[32];
    for (int i = from; i < to; i++) {
        snprintf(article, sizeof article, "of-%d-%d", (int)address, i);
        require(react_as(article, address, 7), "%s", article);
    }
}

static void what_one_address_invents_is_found_when_it_is_quiet(void **state)
{
    struct registry_quiet one;
    (void)state;
    wide();
    invent(1, 0, CREATOR_KEPT + 3);
    assert_int_equal(registry_provisional(registry), CREATOR_KEPT + 3);
    assert_int_equal(quiet_ones(&one), 0);
    unix_ms += 6 * HOUR_MS;
    assert_int_equal(quiet_ones(&one), 0);
    unix_ms += HOUR_MS;
    for (int i = 0; i < 3; i++) /* the same ones each round */
        assert_int_equal(quiet_ones(&one), 3);
    assert_int_equal(one.readers, 1);
    assert_int_equal(one.reader[0], 7);
    registry_total_gone(registry, one.article, one.article_bytes);
    assert_int_equal(registry_forgotten(registry), 1);
    assert_int_equal(registry_count(registry), CREATOR_KEPT + 2);
    assert_int_equal(quiet_ones(&one), 2);
    registry_confirm(registry, one.article, one.article_bytes);
    assert_int_equal(registry_provisional(registry), CREATOR_KEPT + 1);
    assert_int_equal(quiet_ones(&one), 1);
    registry_total_gone(registry, one.article, one.article_bytes);
    assert_int_equal(quiet_ones(&one), 0); /* what one alone may leave behind stays */
    assert_int_equal(registry_count(registry), CREATOR_KEPT + 1);
    wide_end();
}

static void a_lone_reader_keeps_what_they_counted(void **state)
{
    struct registry_quiet one;
    (void)state;
    wide();
    invent(1, 0, CREATOR_KEPT);
    invent(2, 0, CREATOR_KEPT);
    unix_ms += 10000 * HOUR_MS;
    assert_int_equal(quiet_ones(&one), 0);
    wide_end();
}

/* Anyone else who touches an article makes it real; its creator does not. */
static void another_makes_it_real(void **state)
{
    struct registry_actor own = who(1, 7), other = who(2, 7), reader = who(1, 7);
    struct registry_quiet one;
    (void)state;
    wide();
    reader.address = false; /* its key happens to be the same */
    invent(1, 0, CREATOR_KEPT + 6);
    assert_true(react_as("of-1-0", 2, 7));
    registry_viewed(registry, "of-1-1", 6, &other);
    registry_viewed(registry, "of-1-2", 6, &reader);
    assert_int_equal(tell("of-1-3", "open"), REGISTRY_APPLIED);
    no_more("of-1-3");
    assert_int_equal(registry_provisional(registry), CREATOR_KEPT + 2);
    registry_viewed(registry, "of-1-4", 6, &own);
    assert_true(react_as("of-1-5", 1, 8));
    registry_total_found(registry, "of-1-5", 6, unix_ms);
    registry_viewed(registry, "never-made", 10, &other);
    assert_int_equal(registry_provisional(registry), CREATOR_KEPT + 2);
    unix_ms += 7 * HOUR_MS;
    assert_int_equal(quiet_ones(&one), 2);
    registry_free(registry); /* and it stays so */
    registry = registry_new(wide_memory, &rules);
    assert_int_equal(registry_provisional(registry), CREATOR_KEPT + 2);
    assert_int_equal(quiet_ones(&one), 2);
    wide_end();
}

static void every_reader_of_the_creator_is_named_or_it_is_real(void **state)
{
    struct registry_quiet one = {0};
    (void)state;
    wide();
    for (uint64_t reader = 1; reader <= CREATOR_READERS_MAX; reader++)
        assert_true(react_as("read", 1, reader) && react_as("read", 1, reader));
    unix_ms += 7 * HOUR_MS;
    invent(1, 0, CREATOR_KEPT); /* not quiet, but they are there */
    assert_int_equal(quiet_ones(&one), 1);
    assert_int_equal(one.readers, CREATOR_READERS_MAX);
    for (uint32_t i = 0; i < CREATOR_READERS_MAX; i++)
        assert_int_equal(one.reader[i], i + 1);
    uint32_t before = registry_provisional(registry);
    assert_true(react_as("read", 1, CREATOR_READERS_MAX + 1));
    assert_int_equal(registry_provisional(registry), before - 1);
    wide_end();
}

static void what_has_a_state_does_not_go_with_its_total(void **state)
{
    (void)state;
    assert_true(by_operator("made"));
    assert_true(react("found"));
    registry_total_gone(registry, "made", 4);
    registry_total_gone(registry, "found", 5);
    registry_total_gone(registry, "never-made", 10);
    assert_int_equal(judge("made"), REGISTRY_KNOWN);
    assert_int_equal(judge("found"), REGISTRY_MAY_REGISTER);
}

static void a_provisional_article_gets_a_state(void **state)
{
    (void)state;
    assert_true(react("a"));
    assert_int_equal(registry_provisional(registry), 1);
    assert_int_equal(tell("a", "closed"), REGISTRY_APPLIED);
    assert_int_equal(registry_provisional(registry), 0);
    again();
    assert_int_equal(takes("a", 1), 'c');
    assert_int_equal(registry_damaged_states(registry), 0);
}

static void a_note_is_taken_over(void **state)
{
    (void)state;
    assert_true(react("a"));
    unsigned char *old = malloc(registry_layout_bytes(ROOM));
    memcpy(old, memory, registry_layout_bytes(ROOM));
    memset(memory, 0, registry_layout_bytes(ROOM));
    registry_layout_format(memory, ROOM, &rules.kinds);
    again();
    assert_int_equal(registry_import(registry, old, registry_layout_bytes(ROOM)), 0);
    assert_int_equal(registry_provisional(registry), 1);
    assert_true(react_as("a", 2, 1));
    assert_int_equal(registry_provisional(registry), 0);
    free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_one_address_invents_is_found_when_it_is_quiet, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_lone_reader_keeps_what_they_counted, begin, end),
        cmocka_unit_test_setup_teardown(another_makes_it_real, begin, end),
        cmocka_unit_test_setup_teardown(every_reader_of_the_creator_is_named_or_it_is_real, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_has_a_state_does_not_go_with_its_total, begin, end),
        cmocka_unit_test_setup_teardown(a_provisional_article_gets_a_state, begin, end),
        cmocka_unit_test_setup_teardown(a_note_is_taken_over, begin, end),
        TEST(a_reaction_makes_it_known),
        TEST(so_many_a_minute),
        TEST(at_the_cap_none_but_for_a_quiet_one),
        TEST(the_order_of_use_outlives_a_restart),
        TEST(a_clock_set_back_makes_nothing_quiet),
        TEST(only_the_operators_where_none_is_created),
        TEST(the_operators_are_never_forgotten),
        TEST(a_total_makes_it_known_without_a_token),
        TEST(a_state_is_enforced),
        TEST(times_are_those_of_the_call),
        TEST(what_cannot_hold_changes_nothing),
        TEST(the_feed_does_not_undo_what_it_has_not_heard),
        TEST(what_was_not_passed_on_is_told_of),
        TEST(where_everything_is_known_states_hold_all_the_same),
        TEST(killed_at_any_store_the_former_state_or_the_new_one_is_left),
        TEST(killed_while_it_is_made_it_is_there_with_its_state_or_not_at_all),
        TEST(of_two_entries_the_one_with_a_state_counts),
        TEST(a_damaged_state_is_closed),
        TEST(what_is_damaged_is_not_known),
        TEST(garbage_is_nothing),
        TEST(a_file_fits_only_its_own_size_and_kinds),
        TEST(the_file_goes_on),
        TEST(the_file_grows_and_shrinks),
        TEST(other_kinds_are_found_by_their_names),
        TEST(no_fewer_than_have_a_state),
        TEST(a_damaged_file_loses_what_is_damaged),
        TEST(a_file_that_cannot_be_made_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

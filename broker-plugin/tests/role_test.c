#include "unit.h"

#include "role.h"

#define NEVER "0000000000000000"
#define SECRET "0123456789abcdef"
#define SIXTEEN "aaaaaaaaaaaaaaaa"
#define HUNDRED_AND_28 SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN

static struct role_rules rules;
static struct services services;

static void set_prefix(const char *prefix)
{
    rules.prefix = prefix;
    rules.prefix_bytes = strlen(prefix);
}

static int begin(void **state)
{
    static const struct service known[] = {
        {"tally-collector", ROLE_COLLECTOR, SECRET},
        {"tally-feed", ROLE_FEED, SECRET},
        {"operator", ROLE_OPERATOR, SECRET},
        {"newsroom", ROLE_NEWSROOM, SECRET},
        {"a-service-with-a-long-name", ROLE_NEWSROOM, SECRET},
        {"backend", ROLE_GATEWAY, SECRET},
    };
    (void)state;
    memset(&services, 0, sizeof services);
    services.n = COUNT_OF(known);
    memcpy(services.service, known, sizeof known);
    rules = (struct role_rules){.by_username = true, .by_client_id = true};
    set_prefix("");
    return 0;
}

/* --- connecting --- */

static const struct {
    const char *client_id, *username, *password;
    bool admitted;
    enum role role;
    char source;
} connects[] = {
    {"c", NULL, NULL, true, ROLE_READER, 'c'},
    {"c", SIXTEEN, NULL, true, ROLE_READER, 'u'},
    {"c", SIXTEEN, "whatever", true, ROLE_READER, 'u'},
    {"c", HUNDRED_AND_28, NULL, true, ROLE_READER, 'u'},
    {"c", HUNDRED_AND_28 "a", NULL, false, 0, 0},
    {"c", "aaaaaaaaaaaaaaa", NULL, false, 0, 0},
    {"c", "", NULL, false, 0, 0},
    {HUNDRED_AND_28, NULL, NULL, true, ROLE_READER, 'c'},
    {HUNDRED_AND_28 "a", NULL, NULL, false, 0, 0},
    {"a+b", NULL, NULL, false, 0, 0},
    {"a#b", NULL, NULL, false, 0, 0},
    {"a/b", NULL, NULL, false, 0, 0},
    {"tally-x", NULL, NULL, false, 0, 0},
    {"newsroom-x", NULL, NULL, false, 0, 0},
    {"ops-x", NULL, NULL, false, 0, 0},
    {"ops-x", SIXTEEN, NULL, false, 0, 0},
    {"tally", NULL, NULL, true, ROLE_READER, 'c'},
    {"auto-x", NULL, NULL, true, ROLE_READER, 0},
    {"auto-x", SIXTEEN, NULL, true, ROLE_READER, 'u'},
    {"tally-x", "tally-feed", SECRET, true, ROLE_FEED, 't'},
    {"tally-x", "tally-collector", SECRET, true, ROLE_COLLECTOR, 'c'},
    {"tally-x", "operator", SECRET, false, 0, 0},
    {"ops-x", "operator", SECRET, true, ROLE_OPERATOR, 'c'},
    {"any", "operator", SECRET, true, ROLE_OPERATOR, 'c'},
    {"a/b", "operator", SECRET, false, 0, 0},
    {"newsroom-x", "newsroom", SECRET, true, ROLE_NEWSROOM, 'c'},
    {"newsroom-x", "tally-feed", SECRET, false, 0, 0},
    {"any", "a-service-with-a-long-name", SECRET, true, ROLE_NEWSROOM, 'u'},
    {"gateway-x", NULL, NULL, false, 0, 0},
    {"gateway-x", "newsroom", SECRET, false, 0, 0},
    {"gateway-x", "backend", SECRET, true, ROLE_GATEWAY, 't'},
    {"any", "backend", SECRET, true, ROLE_GATEWAY, 't'},
    {"ops-x", "backend", SECRET, false, 0, 0},
    {"any", "backend", NEVER, false, 0, 0},
    {"any", "operator", NULL, false, 0, 0},
    {"any", "operator", "", false, 0, 0},
    {"any", "operator", SECRET "0", false, 0, 0},
    {"any", "operator", NEVER, false, 0, 0},
    {"any", "a-service-with-a-long-name", NULL, false, 0, 0},
};

static void admits_connections(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(connects); i++) {
        struct role_facts facts;
        const char *why = role_connect(&rules, &services, connects[i].client_id,
                                       connects[i].username, connects[i].password, &facts);
        require((why == NULL) == connects[i].admitted, "row %zu: %s", i, why == NULL ? "" : why);
        if (why != NULL)
            continue;
        require(facts.admitted, "row %zu", i);
        require(facts.role == connects[i].role, "row %zu", i);
        require(facts.source == connects[i].source, "row %zu", i);
        require((facts.service != NULL) == (facts.role != ROLE_READER), "row %zu", i);
    }
}

static char source_of(const char *client_id, const char *username)
{
    struct role_facts facts;
    assert_null(role_connect(&rules, &services, client_id, username, NULL, &facts));
    return facts.source;
}

static void knows_readers_as_the_deployment_wants(void **state)
{
    (void)state;
    rules.by_username = false;
    assert_int_equal(source_of("c", SIXTEEN), 'c');
    rules.by_username = true;
    rules.by_client_id = false;
    assert_int_equal(source_of("c", SIXTEEN), 'u');
    assert_int_equal(source_of("c", NULL), 0); /* may watch */
    rules.by_client_id = true;
    rules.auto_id_may_react = true;
    assert_int_equal(source_of("auto-x", NULL), 'c');
}

/* Where tokens are taken, a reader's password is one: the caller checks it. */
static void takes_a_readers_password_for_a_token(void **state)
{
    static const struct {
        const char *client_id, *username, *password;
        char source; /* '-': refused */
        enum role role;
    } rows[] = {
        {"c", NULL, "token", 't', ROLE_READER},
        {"c", SIXTEEN, "token", 't', ROLE_READER},
        {"c", "short", "token", 't', ROLE_READER},
        {"c", HUNDRED_AND_28 "a", "token", 't', ROLE_READER},
        {"auto-x", NULL, "token", 't', ROLE_READER},
        {"ops-x", NULL, "token", '-', 0},
        {"a/b", SIXTEEN, "token", '-', 0},
        {"c", "operator", "token", '-', 0},
        {"c", "operator", SECRET, 0, ROLE_OPERATOR},
        {"c", "backend", SECRET, 't', ROLE_GATEWAY},
        {"c", "a-service-with-a-long-name", SECRET, 0, ROLE_NEWSROOM},
        {"c", NULL, NULL, 0, ROLE_READER},
        {"c", NULL, "", 0, ROLE_READER},
        {"c", SIXTEEN, NULL, 0, ROLE_READER},
        {"c", SIXTEEN, "", 0, ROLE_READER},
        {"c", "short", "", '-', 0},
    };
    (void)state;
    rules = (struct role_rules){.by_token = true};
    set_prefix("");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct role_facts facts;
        const char *why = role_connect(&rules, &services, rows[i].client_id, rows[i].username,
                                       rows[i].password, &facts);
        require((why != NULL) == (rows[i].source == '-'), "row %zu", i);
        if (why == NULL)
            require(facts.source == rows[i].source && facts.role == rows[i].role, "row %zu", i);
    }
    struct role_facts facts;
    role_unauthenticated(&rules, &services, "c", SIXTEEN, &facts);
    assert_int_equal(facts.source, 0);
    rules.by_username = rules.by_client_id = true;
    assert_int_equal(source_of("c", SIXTEEN), 'u');
    assert_int_equal(source_of("c", NULL), 'c');
}

static void gives_nobody_a_role_unauthenticated(void **state)
{
    static const struct {
        const char *client_id, *username;
        bool admitted;
        char source;
    } rows[] = {
        {"c", NULL, true, 'c'},      {"c", SIXTEEN, true, 'u'},
        {"c", "short", true, 0},     {"c", HUNDRED_AND_28 "a", true, 0},
        {"c", "operator", false, 0}, {"c", "a-service-with-a-long-name", false, 0},
        {"tally-x", NULL, false, 0}, {"a/b", SIXTEEN, false, 0},
        {NULL, SIXTEEN, false, 0},   {"auto-x", NULL, true, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct role_facts facts;
        role_unauthenticated(&rules, &services, rows[i].client_id, rows[i].username, &facts);
        require(facts.role == ROLE_READER && facts.service == NULL, "row %zu", i);
        require(facts.admitted == rows[i].admitted, "row %zu", i);
        require(facts.source == rows[i].source, "row %zu", i);
    }
}

/* --- topics and filters. A letter each for reader, newsroom, operator, collector, feed, gateway: y
 * allowed, n denied, - left to others --- */

static const enum role roles[] = {ROLE_READER,    ROLE_NEWSROOM, ROLE_OPERATOR,
                                  ROLE_COLLECTOR, ROLE_FEED,     ROLE_GATEWAY};

static char letter(enum role_answer answer)
{
    return answer == ROLE_ALLOW ? 'y' : answer == ROLE_DENY ? 'n' : '-';
}

static struct role_facts facts_of(enum role role)
{
    return (struct role_facts){.admitted = true,
                               .role = role,
                               .service = role == ROLE_READER ? NULL : &services.service[0],
                               .source = 'c'};
}

struct row {
    const char *topic, *answers;
};

static char may_write(const struct role_facts *facts, const char *topic)
{
    const char *rest;
    enum role_area area = role_area(&rules, topic, &rest);
    return letter(role_write(facts, area, rest));
}

static char may_read(const struct role_facts *facts, const char *topic)
{
    const char *rest;
    enum role_area area = role_area(&rules, topic, &rest);
    char answer = letter(role_read(facts, "me", topic, area, rest));
    if (facts->admitted && role_read_public(area, rest))
        assert_int_equal(answer, 'y');
    return answer;
}

static char may_subscribe(const struct role_facts *facts, const char *filter)
{
    return letter(role_subscribe(&rules, facts, "me", filter));
}

static void check(const struct row *rows, size_t n,
                  char (*ask)(const struct role_facts *facts, const char *topic))
{
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < COUNT_OF(roles); r++) {
            struct role_facts facts = facts_of(roles[r]);
            char got = ask(&facts, rows[i].topic);
            require(got == rows[i].answers[r], "%s: role %zu gets %c", rows[i].topic, r, got);
            /* A client that is not admitted gets none of Tally's topics, and no answer about
             * others'. */
            facts.admitted = false;
            got = ask(&facts, rows[i].topic);
            require(got != 'y', "%s: role %zu, not admitted", rows[i].topic, r);
        }
}

static void lets_each_role_write_its_own(void **state)
{
    static const struct row rows[] = {
        {"reactions/a", "yynnny"},
        {"reactions", "yynnny"},
        {"reactions/", "yynnny"},
        {"totals/a", "nnnnyn"},
        {"totals", "nnnnnn"},
        {"totals/", "nnnnnn"},
        {"top/hour", "nnnnyn"},
        {"receipts/me", "nnnynn"},
        {"receipts/x", "nnnynn"},
        {"receipts/", "nnnnnn"},
        {"articles/a", "nnynyn"},
        {"ops/collector", "nnnynn"},
        {"ops/audit", "nnnynn"},
        {"ops/feed", "nnnnyn"},
        {"ops/health", "nnnnyn"},
        {"ops/other", "nnnnnn"},
        {"ops/collector/x", "nnnnnn"},
        {"elsewhere", "------"},
        {"reactionsx/a", "------"},
        {"x/totals/a", "------"},
        {"/totals/a", "------"},
        {"$CONTROL/x", "------"},
        {"reactions/%probe/a", "nnnnyn"},
        {"reactions/%probe", "yynnny"},
        {"reactions/%probes/a", "yynnny"},
        {"articles/%probe/a", "nnnnnn"},
        {"totals/%probe/a", "nnnnyn"},
        {"ops/probe", "nnnnyn"},
    };
    (void)state;
    check(rows, COUNT_OF(rows), may_write);
}

static void delivers_to_whom_it_concerns(void **state)
{
    static const struct row rows[] = {
        {"reactions/a", "nnnnnn"},   {"reactions", "nnnnnn"},
        {"totals/a", "yyyyyy"},      {"totals", "nnnnnn"},
        {"top/hour", "yyyyyy"},      {"articles/a", "yyyyyy"},
        {"receipts/me", "yyyyyy"},   {"receipts/x", "nnynyn"},
        {"receipts/me/x", "nnynyn"}, {"ops/health", "nnyyyn"},
        {"elsewhere", "--y-y-"},     {"$SYS/broker/uptime", "--y-y-"},
        {"$other/x", "------"},      {"totals/%probe/a", "nnynyn"},
        {"ops/probe", "nnyyyn"},     {"totals/%probe", "yyyyyy"},
    };
    (void)state;
    check(rows, COUNT_OF(rows), may_read);
}

static void lets_each_role_subscribe(void **state)
{
    static const struct row rows[] = {
        {"totals/a", "yyyyyy"},
        {"totals/world/x", "yyyyyy"},
        {"totals/-a", "nnynyn"},
        {"totals/%probe/a", "nnynyn"},
        {"totals/", "nnynyn"},
        {"totals", "nnynyn"},
        {"totals/#", "nyyyyy"},
        {"totals/+", "nyyyyy"},
        {"totals/world/#", "nyyyyy"},
        {"totals/+/x", "nyyyyy"},
        {"top/hour", "yyyyyy"},
        {"top/", "nnynyn"},
        {"top/#", "nyyyyy"},
        {"articles/a", "yyyyyy"},
        {"articles/#", "nyyyyy"},
        {"receipts/me", "yyyyyy"},
        {"receipts/x", "nnynyn"},
        {"receipts/+", "nnynyn"},
        {"receipts/#", "nnynyn"},
        {"ops/health", "nnyyyn"},
        {"ops/#", "nnyyyn"},
        {"reactions", "nnnnnn"},
        {"reactions/a", "nnnnnn"},
        {"reactions/#", "nnnnnn"},
        {"reactions/+", "nnnnnn"},
        {"#", "nnynyn"},
        {"+", "nnynyn"},
        {"+/x", "nnynyn"},
        {"+/#", "nnynyn"},
        {"$share/g/totals/a", "yyyyyy"},
        {"$share/g/totals/#", "nyyyyy"},
        {"$share/g/reactions/#", "nnnnnn"},
        {"$share/g/receipts/x", "nnynyn"},
        {"$share/g/#", "nnynyn"},
        {"$share/reactions/a", "--y-y-"}, /* group "reactions", filter "a" */
        {"$share", "nnnnnn"},
        {"$share/", "nnnnnn"},
        {"$share/g", "nnnnnn"},
        {"$share/g/", "nnnnnn"},
        {"$share//totals/a", "nnnnnn"},
        {"$share/+/totals/a", "nnnnnn"},
        {"$share/g#/totals/a", "nnnnnn"},
        {"$share/+/$SYS/#", "nnnnnn"},
        {"elsewhere", "--y-y-"},
        {"reactionsx/#", "--y-y-"},
        {"$SYS/#", "--y-y-"},
        {"$share/g/$SYS/#", "--y-y-"},
        {"$other/#", "------"},
    };
    (void)state;
    check(rows, COUNT_OF(rows), may_subscribe);
}

static void opens_wildcards_to_everybody(void **state)
{
    static const struct row rows[] = {
        {"totals/#", "yyyyyy"},    {"top/+", "yyyyyy"},      {"articles/#", "yyyyyy"},
        {"totals/a b", "nnynyn"},  {"receipts/#", "nnynyn"}, {"ops/#", "nnyyyn"},
        {"reactions/#", "nnnnnn"}, {"#", "nnynyn"},          {"+/x", "nnynyn"},
    };
    (void)state;
    rules.allow_wildcards = true;
    check(rows, COUNT_OF(rows), may_subscribe);
}

static void keeps_to_its_prefix(void **state)
{
    static const struct row filters[] = {
        {"news/eu/totals/a", "yyyyyy"},
        {"news/eu/totals/#", "nyyyyy"},
        {"news/eu/#", "nnynyn"},
        {"news/#", "nnynyn"},
        {"#", "nnynyn"},
        {"news/+/totals/a", "nnynyn"},
        {"+/eu/totals/a", "nnynyn"},
        {"+/+/reactions/a", "nnnnnn"},
        {"+/+/+/a", "nnynyn"},
        {"news/eu/reactions/#", "nnnnnn"},
        {"+/#", "nnynyn"},
        {"totals/a", "--y-y-"},
        {"news/us/totals/a", "--y-y-"},
        {"news/eu", "--y-y-"},
        {"news", "--y-y-"},
        {"+", "--y-y-"},
        {"news/eu/elsewhere", "--y-y-"},
        {"news/+/elsewhere", "--y-y-"},
        {"news/eux/totals/a", "--y-y-"},
        {"$share/g/news/eu/reactions/a", "nnnnnn"},
    };
    static const struct row writes[] = {
        {"news/eu/totals/a", "nnnnyn"},   {"news/eu/reactions/a", "yynnny"},
        {"reactions/a", "------"},        {"totals/a", "------"},
        {"news/eureactions/a", "------"},
    };
    (void)state;
    set_prefix("news/eu/");
    check(filters, COUNT_OF(filters), may_subscribe);
    check(writes, COUNT_OF(writes), may_write);
}

static void bounds_readers_subscriptions(void **state)
{
    static const bool bounded[] = {true, true, false, false, false, true};
    (void)state;
    for (size_t r = 0; r < COUNT_OF(roles); r++) {
        struct role_facts facts = facts_of(roles[r]);
        assert_int_equal(role_subscriptions_bounded(&facts), bounded[r]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(admits_connections, begin),
        cmocka_unit_test_setup(knows_readers_as_the_deployment_wants, begin),
        cmocka_unit_test_setup(takes_a_readers_password_for_a_token, begin),
        cmocka_unit_test_setup(gives_nobody_a_role_unauthenticated, begin),
        cmocka_unit_test_setup(lets_each_role_write_its_own, begin),
        cmocka_unit_test_setup(delivers_to_whom_it_concerns, begin),
        cmocka_unit_test_setup(lets_each_role_subscribe, begin),
        cmocka_unit_test_setup(opens_wildcards_to_everybody, begin),
        cmocka_unit_test_setup(keeps_to_its_prefix, begin),
        cmocka_unit_test_setup(bounds_readers_subscriptions, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

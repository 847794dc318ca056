/* Subscriptions, client ids and topics of any text: no filter that is granted to a reader matches
 * what a reader must not see, by libmosquitto's own matching; nobody is granted reactions. */
#include "core/article.h"
#include "fuzz.h"
#include "role.h"

#include <mosquitto.h>

/* Behind the prefix. The reader is "me". */
static const char *const hidden[] = {"reactions",      "reactions/x", "reactions/a/b",
                                     "receipts/other", "receipts",    "receipts/me/other",
                                     "ops/collector",  "ops/feed",    "ops"};
static const char *const wide[] = {"totals/one", "totals/one/two", "articles/one", "top/one"};

static bool matches(const char *filter, const char *prefix, const char *topic)
{
    char whole[256];
    bool match = false;
    snprintf(whole, sizeof whole, "%s%s", prefix, topic);
    return mosquitto_topic_matches_sub(filter, whole, &match) == MOSQ_ERR_SUCCESS && match;
}

/* As the broker does with a shared subscription. */
static const char *behind_share(const char *filter)
{
    if (strncmp(filter, "$share/", 7) != 0)
        return filter;
    const char *slash = strchr(filter + 7, '/');
    return slash == NULL ? "" : slash + 1;
}

/* Who writes reactions and nothing else. */
static bool is_reader(int role)
{
    return role == ROLE_READER || role == ROLE_NEWSROOM || role == ROLE_GATEWAY;
}

static void check_filter(const struct role_rules *rules, const char *filter)
{
    for (int role = ROLE_READER; role <= ROLE_GATEWAY; role++) {
        struct role_facts facts = {.admitted = true, .role = (enum role)role, .source = 'c'};
        const char *seen = behind_share(filter);
        bool reader = is_reader(role);
        if (role_subscribe(rules, &facts, "me", filter) != ROLE_ALLOW)
            continue;
        for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
            /* An operator's or the feed's wildcard may match reactions: those are denied at
             * delivery. */
            bool plain = strpbrk(seen, "+#") == NULL;
            if (reader || (plain && strncmp(hidden[i], "reactions", 9) == 0))
                FUZZ_CHECK(!matches(seen, rules->prefix, hidden[i]));
        }
        if (reader)
            FUZZ_CHECK(seen[0] != '$' && seen[0] != '#' &&
                       strncmp(seen, rules->prefix, rules->prefix_bytes) == 0);
        int n = 0;
        for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
            n += matches(seen, rules->prefix, wide[i]);
        if (role == ROLE_READER && !rules->allow_wildcards)
            FUZZ_CHECK(n <= 1 && strpbrk(seen, "+#") == NULL);
    }
}

static void check_topic(const struct role_rules *rules, const char *topic)
{
    const char *rest;
    enum role_area area = role_area(rules, topic, &rest);
    FUZZ_CHECK(area != AREA_FOREIGN || rest == NULL);
    FUZZ_CHECK(rest == NULL || (rest > topic && rest[-1] == '/'));
    for (int role = ROLE_READER; role <= ROLE_GATEWAY; role++) {
        struct role_facts facts = {.admitted = true, .role = (enum role)role, .source = 'c'};
        bool writes = role_write(&facts, area, rest) == ROLE_ALLOW;
        bool reads = role_read(&facts, "me", topic, area, rest) == ROLE_ALLOW;
        FUZZ_CHECK(!(area == AREA_REACTIONS && reads));
        if (is_reader(role)) {
            FUZZ_CHECK(writes == (area == AREA_REACTIONS));
            FUZZ_CHECK(!reads || role_read_public(area, rest) ||
                       (area == AREA_RECEIPTS && strcmp(rest, "me") == 0));
        }
        facts.admitted = false;
        FUZZ_CHECK(role_write(&facts, area, rest) != ROLE_ALLOW &&
                   role_read(&facts, "me", topic, area, rest) != ROLE_ALLOW);
    }
}

/* A password is a token, or nothing. */
static void check_token(const struct role_rules *rules, const char *client_id, const char *username,
                        const struct role_facts *without)
{
    static const struct services none;
    struct role_facts facts = {0};
    const char *why = role_connect(rules, &none, client_id, username, "token", &facts);
    if (rules->by_token)
        FUZZ_CHECK(why == NULL ? facts.source == 't' : !without->admitted);
    else
        FUZZ_CHECK((why == NULL) == without->admitted && facts.source == without->source);
}

static void check_connect(const struct role_rules *rules, const char *client_id,
                          const char *username)
{
    static const struct services none;
    struct role_facts facts = {0}, unauthenticated;
    const char *why = role_connect(rules, &none, client_id, username, NULL, &facts);
    role_unauthenticated(rules, &none, client_id, username, &unauthenticated);
    FUZZ_CHECK(facts.admitted == (why == NULL) && facts.service == NULL &&
               unauthenticated.service == NULL);
    FUZZ_CHECK(facts.role == ROLE_READER && unauthenticated.role == ROLE_READER);
    check_token(rules, client_id, username, &facts);
    if (why != NULL)
        return;
    FUZZ_CHECK(unauthenticated.admitted && unauthenticated.source == facts.source);
    FUZZ_CHECK(strlen(client_id) <= 128 && strpbrk(client_id, "+#/") == NULL &&
               strncmp(client_id, "tally-", 6) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    unsigned how = (unsigned)fuzz_number(&in, 1);
    char *line = fuzz_line(&in), *more = fuzz_line(&in);
    struct role_rules rules = {.prefix = how & 1 ? "news/de/" : "",
                               .allow_wildcards = (how & 2) != 0,
                               .auto_id_may_react = (how & 4) != 0,
                               .by_token = (how & 16) != 0,
                               .by_username = true,
                               .by_client_id = (how & 8) != 0};
    rules.prefix_bytes = strlen(rules.prefix);
    if (line != NULL) {
        if (mosquitto_sub_topic_check(line) == MOSQ_ERR_SUCCESS && line[0] != '\0')
            check_filter(&rules, line);
        if (mosquitto_pub_topic_check(line) == MOSQ_ERR_SUCCESS)
            check_topic(&rules, line);
        check_connect(&rules, line, more);
    }
    free(line);
    free(more);
    return 0;
}

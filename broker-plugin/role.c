/* Roles: their client ids, the topics that each may read and write, and the filters that each may
 * subscribe to. */
#include "role.h"

#include "core/article.h"

#include <string.h>

#define AUTO_ID_PREFIX "auto-"
#define OPS_MAX 4

#define WORD(text) text, sizeof(text) - 1
static const struct {
    const char *word;
    size_t bytes;
    enum role_area area;
} areas[] = {
    {WORD("reactions"), AREA_REACTIONS}, {WORD("totals"), AREA_TOTALS},
    {WORD("receipts"), AREA_RECEIPTS},   {WORD("top"), AREA_TOP},
    {WORD("articles"), AREA_ARTICLES},   {WORD("ops"), AREA_OPS},
};

static bool begins_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* NULL, or why this role may not use the client id. Anyone who knows an id may resume it, with its
 * subscriptions: hence each role has its own prefixes. */
static const char *client_id_refused(const char *client_id, enum role role)
{
    if (strlen(client_id) > ROLE_CLIENT_ID_MAX_BYTES)
        return "client id over 128 bytes";
    if (strpbrk(client_id, "+#/") != NULL)
        return "client id with +, # or /";
    if (begins_with(client_id, "tally-") && role != ROLE_COLLECTOR && role != ROLE_FEED)
        return "client id begins with tally-";
    if (begins_with(client_id, "newsroom-") && role != ROLE_NEWSROOM)
        return "client id begins with newsroom-";
    if (begins_with(client_id, "ops-") && role != ROLE_OPERATOR)
        return "client id begins with ops-";
    if (begins_with(client_id, "gateway-") && role != ROLE_GATEWAY)
        return "client id begins with gateway-";
    return NULL;
}

static bool username_fits(const char *username)
{
    size_t bytes = strlen(username);
    return bytes >= ROLE_USERNAME_MIN_BYTES && bytes <= ROLE_USERNAME_MAX_BYTES;
}

/* How the reader is identified: by the username if there is one, else by the client id; 0 if the
 * deployment allows neither. */
static char source_of(const struct role_rules *rules, const char *client_id, const char *username)
{
    if (username != NULL && rules->by_username && username_fits(username))
        return 'u';
    if (!rules->by_client_id)
        return 0;
    if (begins_with(client_id, AUTO_ID_PREFIX) && !rules->auto_id_may_react)
        return 0;
    return 'c';
}

bool role_names_readers(enum role role)
{
    return role == ROLE_GATEWAY || role == ROLE_FEED;
}

const char *role_connect(const struct role_rules *rules, const struct services *services,
                         const char *client_id, const char *username, const char *password,
                         struct role_facts *facts)
{
    const struct service *service = username == NULL ? NULL : services_find(services, username);

    if (service != NULL && !services_secret_fits(service, password))
        return "a service without its secret";
    bool token = service == NULL && rules->by_token && password != NULL && password[0] != '\0';
    if (service == NULL && !token && username != NULL && !username_fits(username))
        return "username is not 16 to 128 bytes";
    facts->role = service == NULL ? ROLE_READER : service->role;
    const char *refused = client_id_refused(client_id, facts->role);
    if (refused != NULL)
        return refused;
    facts->admitted = true;
    facts->service = service;
    facts->source =
        token || role_names_readers(facts->role) ? 't' : source_of(rules, client_id, username);
    return NULL;
}

void role_unauthenticated(const struct role_rules *rules, const struct services *services,
                          const char *client_id, const char *username, struct role_facts *facts)
{
    facts->role = ROLE_READER;
    facts->service = NULL;
    facts->admitted = client_id != NULL && client_id_refused(client_id, ROLE_READER) == NULL &&
                      (username == NULL || services_find(services, username) == NULL);
    facts->source = 0;
    /* A certificate's name may be short: its owner then only watches, and a client id that
     * it chose does not identify it. */
    if (facts->admitted && (username == NULL || username_fits(username)))
        facts->source = source_of(rules, client_id, username);
}

static enum role_area area_of_word(const char *word, size_t bytes)
{
    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++)
        if (areas[i].word[0] == word[0] && areas[i].bytes == bytes &&
            memcmp(areas[i].word, word, bytes) == 0)
            return areas[i].area;
    return AREA_FOREIGN;
}

enum role_area role_area(const struct role_rules *rules, const char *topic, const char **rest)
{
    *rest = NULL;
    /* Most deployments have no prefix. */
    if (rules->prefix_bytes > 0 && strncmp(topic, rules->prefix, rules->prefix_bytes) != 0)
        return AREA_FOREIGN;
    const char *word = topic + rules->prefix_bytes;
    size_t bytes = (size_t)(strchrnul(word, '/') - word);
    enum role_area area = area_of_word(word, bytes);
    if (area != AREA_FOREIGN && word[bytes] == '/')
        *rest = word + bytes + 1;
    return area;
}

static bool role_rest_is(const char *rest, const char *what)
{
    return strcmp(rest, what) == 0;
}

/* Of an article that is reserved for the feeds' probes. */
static bool role_rest_is_probe(const char *rest)
{
    return rest != NULL && rest[0] == ARTICLE_PROBE_PREFIX[0] &&
           begins_with(rest, ARTICLE_PROBE_PREFIX);
}

#define WHOLE(area) (1u << (area))

/* What each role may write (INTERFACES.md 3): whole areas, and single topics of ops/. */
static const struct {
    unsigned areas;
    const char *ops[OPS_MAX + 1];
} writes[] = {
    [ROLE_READER] = {WHOLE(AREA_REACTIONS), {NULL}},
    [ROLE_NEWSROOM] = {WHOLE(AREA_REACTIONS), {NULL}},
    [ROLE_GATEWAY] = {WHOLE(AREA_REACTIONS), {NULL}},
    [ROLE_OPERATOR] = {WHOLE(AREA_ARTICLES), {NULL}},
    [ROLE_COLLECTOR] = {WHOLE(AREA_RECEIPTS), {"collector", "audit"}},
    [ROLE_FEED] = {WHOLE(AREA_TOTALS) | WHOLE(AREA_TOP) | WHOLE(AREA_ARTICLES),
                   {"feed", "health", "real", "probe"}},
};

static bool writes_area(enum role role, enum role_area area)
{
    return (writes[role].areas & WHOLE(area)) != 0;
}

static bool writes_ops(enum role role, const char *rest)
{
    for (const char *const *topic = writes[role].ops; *topic != NULL; topic++)
        if (role_rest_is(rest, *topic))
            return true;
    return false;
}

/* For itself, or for the readers that it names. */
static bool reacts(enum role role)
{
    return writes_area(role, AREA_REACTIONS);
}

static bool sees_everything(enum role role)
{
    return role == ROLE_OPERATOR || role == ROLE_FEED;
}

enum role_answer role_write(const struct role_facts *facts, enum role_area area, const char *rest)
{
    if (area == AREA_FOREIGN)
        return ROLE_DEFER;
    if (!facts->admitted)
        return ROLE_DENY;
    /* "reactions" without an article passes, so that admission can say what is wrong with it. */
    if (area != AREA_REACTIONS && (rest == NULL || *rest == '\0'))
        return ROLE_DENY;
    if (area == AREA_REACTIONS && role_rest_is_probe(rest))
        return facts->role == ROLE_FEED ? ROLE_ALLOW : ROLE_DENY;
    if (area == AREA_ARTICLES && role_rest_is_probe(rest))
        return ROLE_DENY; /* it has no state */
    bool may =
        writes_area(facts->role, area) || (area == AREA_OPS && writes_ops(facts->role, rest));
    return may ? ROLE_ALLOW : ROLE_DENY;
}

/* Topics and filters that cannot touch Tally's own. */
static enum role_answer foreign(const struct role_facts *facts, const char *topic)
{
    bool may = sees_everything(facts->role) && (topic[0] != '$' || begins_with(topic, "$SYS/"));
    return may && facts->admitted ? ROLE_ALLOW : ROLE_DEFER;
}

bool role_read_public(enum role_area area, const char *rest)
{
    return rest != NULL && !role_rest_is_probe(rest) &&
           (area == AREA_TOTALS || area == AREA_TOP || area == AREA_ARTICLES);
}

enum role_answer role_read(const struct role_facts *facts, const char *client_id, const char *topic,
                           enum role_area area, const char *rest)
{
    if (area == AREA_FOREIGN)
        return foreign(facts, topic);
    if (area == AREA_REACTIONS || rest == NULL || !facts->admitted)
        return ROLE_DENY;
    bool may = sees_everything(facts->role) || role_read_public(area, rest);
    if (area == AREA_RECEIPTS && client_id != NULL && role_rest_is(rest, client_id))
        may = true;
    if (area == AREA_OPS && facts->role == ROLE_COLLECTOR)
        may = true;
    return may ? ROLE_ALLOW : ROLE_DENY;
}

/* Whether the level that begins at `filter` is the wildcard `which` alone. */
static bool level_is(const char *filter, char which)
{
    return filter[0] == which && (filter[1] == '/' || filter[1] == '\0');
}

/* Follows the filter through the prefix, level by level. Returns what is left of it for the area,
 * or NULL if it matches no topic after the prefix. Sets `*wide` if a wildcard takes the prefix's
 * place, so that the filter also matches other topics. */
static const char *behind_prefix(const struct role_rules *rules, const char *filter, bool *wide)
{
    for (const char *prefix = rules->prefix; *prefix != '\0';) {
        size_t bytes = strcspn(prefix, "/");
        if (level_is(filter, '#')) {
            *wide = true;
            return filter;
        }
        size_t filter_bytes = strcspn(filter, "/");
        if (level_is(filter, '+'))
            *wide = true;
        else if (filter_bytes != bytes || memcmp(filter, prefix, bytes) != 0)
            return NULL;
        /* "news" is shorter than any topic under "news/"; "news/#" is not. */
        if (filter[filter_bytes] == '\0')
            return NULL;
        filter += filter_bytes + 1;
        prefix += bytes + 1;
    }
    return filter;
}

/* What follows "$share/group/"; the filter itself if it is not shared; NULL if it is malformed: a
 * group must not contain a wildcard (MQTT 5, 4.8.2), which not every version of the broker
 * checks. */
static const char *look_through_share(const char *filter)
{
    static const char share[] = "$share/";
    if (!begins_with(filter, share))
        return strcmp(filter, "$share") == 0 ? NULL : filter;
    const char *group = filter + sizeof share - 1;
    size_t bytes = strcspn(group, "/");
    if (bytes == 0 || strcspn(group, "+#") < bytes || group[bytes] == '\0' ||
        group[bytes + 1] == '\0')
        return NULL;
    return group + bytes + 1;
}

static bool may_subscribe(const struct role_rules *rules, const struct role_facts *facts,
                          const char *client_id, enum role_area area, const char *rest)
{
    bool wildcard = strpbrk(rest, "+#") != NULL;
    bool may_wildcard = facts->role != ROLE_READER || rules->allow_wildcards;

    switch (area) {
    case AREA_TOTALS:
    case AREA_ARTICLES:
        return wildcard ? may_wildcard
                        : article_valid(rest, strlen(rest)) && !role_rest_is_probe(rest);
    case AREA_TOP:
        return wildcard ? may_wildcard : *rest != '\0';
    case AREA_RECEIPTS:
        return client_id != NULL && role_rest_is(rest, client_id);
    case AREA_OPS:
        return facts->role == ROLE_COLLECTOR;
    default:
        return false;
    }
}

enum role_answer role_subscribe(const struct role_rules *rules, const struct role_facts *facts,
                                const char *client_id, const char *filter)
{
    bool wide = false;

    filter = look_through_share(filter);
    if (filter == NULL)
        return ROLE_DENY;
    if (filter[0] == '$')
        return foreign(facts, filter);
    const char *word = behind_prefix(rules, filter, &wide);
    if (word == NULL)
        return foreign(facts, filter);
    size_t bytes = strcspn(word, "/");
    enum role_area area = area_of_word(word, bytes);
    if (level_is(word, '#') || level_is(word, '+'))
        wide = true;
    else if (area == AREA_FOREIGN)
        return foreign(facts, filter);
    if (area == AREA_REACTIONS || !facts->admitted)
        return ROLE_DENY;
    if (sees_everything(facts->role))
        return ROLE_ALLOW;
    if (wide || word[bytes] == '\0')
        return ROLE_DENY;
    return may_subscribe(rules, facts, client_id, area, word + bytes + 1) ? ROLE_ALLOW : ROLE_DENY;
}

bool role_subscriptions_bounded(const struct role_facts *facts)
{
    return reacts(facts->role);
}

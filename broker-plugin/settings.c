/* The table of the plugin's options, and the checks that the table cannot express. */
#include "settings.h"

#include "registry.h"
#include "token_keys.h"

#include "core/article.h"
#include "core/error.h"
#include "spool/spool.h"

#include <string.h>

#define MIB (1024u * 1024u)
#define RING_UNIT_BYTES 4096u
#define TEXT_OF(name) OPTION_TEXT, offsetof(struct settings, name)
#define NUMBER_OF(name) OPTION_NUMBER, offsetof(struct settings, name)
#define SWITCH_OF(name) OPTION_SWITCH, offsetof(struct settings, name)

/* This wording appears twice: in the table, and in the checks that the table cannot express. */
#define ACCEPTS_RING_BYTES "1048576 to 1073741824, a multiple of 4096"
#define ACCEPTS_IDENTITIES "1 to 3 of token, username and client_id, separated by commas"
#define ACCEPTS_TOKEN_KEYS "empty, or a file: a JWKS, or one public key in PEM"
#define ACCEPTS_PROXIES "empty, or 1 to 16 addresses or networks (10.0.0.0/8) separated by commas"

const struct option settings_options[] = {
    {"spool", TEXT_OF(spool), 1, OPTION_TEXT_MAX_BYTES, NULL, "a directory",
     "folder of the rings between broker and collector"},
    {"services_file", TEXT_OF(services_file), 1, OPTION_TEXT_MAX_BYTES, NULL, "a file",
     "usernames, roles and secrets of the services"},
    {"key_file", TEXT_OF(key_file), 1, OPTION_TEXT_MAX_BYTES, NULL, "a file",
     "key that hashes readers: 32 hex digits"},
    {"shards", NUMBER_OF(shards), 1, SPOOL_SHARDS_MAX, "8", "1 to 64",
     "rings; as many as the store has shards"},
    {"ring_bytes", NUMBER_OF(ring_bytes), MIB, 1024 * MIB, "33554432", ACCEPTS_RING_BYTES,
     "capacity of each ring"},
    {"kinds", TEXT_OF(kinds), 1, OPTION_TEXT_MAX_BYTES, "like,dislike,love,funny,angry,sad,wow",
     "1 to 15 names of 1 to 16 of a-z, 0-9, _ and -, separated by commas", "the reactions"},
    {"topic_prefix", TEXT_OF(topic_prefix), 0, OPTION_TEXT_MAX_BYTES, "", ARTICLE_PREFIX_ACCEPTS,
     "prefix of every topic"},
    {"allow_wildcards", SWITCH_OF(allow_wildcards), 0, 0, "off", "on or off",
     "anyone may subscribe to wildcards under totals/, top/ and articles/"},
    {"auto_id_may_react", SWITCH_OF(auto_id_may_react), 0, 0, "off", "on or off",
     "clients known only by an id that the broker made may react"},
    {"max_subscriptions", NUMBER_OF(max_subscriptions), 1, 65536, "256", "1 to 65536",
     "filters that a reader's connection may ask for, and its session have"},
    {"identities", TEXT_OF(identities), 1, OPTION_TEXT_MAX_BYTES, "username,client_id",
     ACCEPTS_IDENTITIES, "what may identify a reader"},
    {"token_keys", TEXT_OF(token_keys), 0, OPTION_TEXT_MAX_BYTES, "", ACCEPTS_TOKEN_KEYS,
     "keys that verify readers' tokens; required if identities names token"},
    {"token_issuer", TEXT_OF(token_issuer), 0, OPTION_TEXT_MAX_BYTES, "", "empty, or any text",
     "issuer that a token's iss must equal; empty: any"},
    {"token_audience", TEXT_OF(token_audience), 0, OPTION_TEXT_MAX_BYTES, "", "empty, or any text",
     "name that a token's aud must contain; empty: any"},
    {"limits", SWITCH_OF(limits), 0, 0, "on", "on or off",
     "enforces all limits below; off: every article counts as known"},
    {"reader_rate", NUMBER_OF(reader_rate), 1, 10000, "5", "1 to 10000",
     "reactions a second that one reader may keep up"},
    {"reader_burst", NUMBER_OF(reader_burst), 1, 1000000, "20", "1 to 1000000",
     "reactions that a reader may send at once"},
    {"address_rate", NUMBER_OF(address_rate), 1, 1000000, "200", "1 to 1000000",
     "reactions a second from one address (IPv4, or /64 of IPv6)"},
    {"address_burst", NUMBER_OF(address_burst), 1, 1000000, "2000", "1 to 1000000",
     "reactions from one address at once"},
    {"connect_rate", NUMBER_OF(connect_rate), 1, 1000000, "100", "1 to 1000000",
     "connections a second from one address"},
    {"connect_burst", NUMBER_OF(connect_burst), 1, 1000000, "2000", "1 to 1000000",
     "connections from one address at once"},
    {"refusal_rate", NUMBER_OF(refusal_rate), 1, 1000000, "100", "1 to 1000000",
     "packets a second that achieve nothing; a connection that sends more is closed"},
    {"refusal_burst", NUMBER_OF(refusal_burst), 1, 1000000, "500", "1 to 1000000",
     "such packets of a connection at once"},
    {"max_sessions", NUMBER_OF(max_sessions), 1, 1000000, "256", "1 to 1000000",
     "sessions that outlive their connection, of readers from one address"},
    {"signature_rate", NUMBER_OF(signature_rate), 1, 1000000, "2000", "1 to 1000000",
     "signatures of readers' tokens checked a second, of all"},
    {"signature_burst", NUMBER_OF(signature_burst), TOKEN_KEYS_MAX, 1000000, "2000",
     "16 to 1000000", "signatures checked at once"},
    {"trusted_proxies", TEXT_OF(trusted_proxies), 0, OPTION_TEXT_MAX_BYTES, "", ACCEPTS_PROXIES,
     "addresses shared by many readers: exempt from the limits of an address"},
    {"auto_create", SWITCH_OF(auto_create), 0, 0, "on", "on or off",
     "a reaction makes its article known; off: only an operator does"},
    {"auto_create_rate", NUMBER_OF(auto_create_rate), 1, 1000000, "60", "1 to 1000000",
     "articles a minute that reactions may make known, and at once after a quiet minute"},
    {"reader_create_rate", NUMBER_OF(reader_create_rate), 1, 1000000, "5", "1 to 1000000",
     "articles a minute that one reader may make known"},
    {"reader_create_burst", NUMBER_OF(reader_create_burst), 1, 1000000, "10", "1 to 1000000",
     "articles that a reader may make known at once"},
    {"address_create_rate", NUMBER_OF(address_create_rate), 1, 1000000, "10", "1 to 1000000",
     "articles a minute that reactions from one address may make known"},
    {"address_create_burst", NUMBER_OF(address_create_burst), 1, 1000000, "25", "1 to 1000000",
     "articles that one address may make known at once"},
    {"forget_hours", NUMBER_OF(forget_hours), 0, 87600, "6", "0 to 87600",
     "hours until an article that hardly anyone touched is forgotten; 0: never"},
    {"max_articles", NUMBER_OF(max_articles), 1, REGISTRY_MAX, "100000", "1 to 1000000",
     "known articles at most; when full, one that was quiet for 7 days is replaced"},
};
const size_t settings_options_n = sizeof settings_options / sizeof settings_options[0];

static bool *identity_of(struct settings *settings, const char *word, size_t bytes)
{
    const struct {
        const char *word;
        bool *by;
    } identities[] = {{"token", &settings->by_token},
                      {"username", &settings->by_username},
                      {"client_id", &settings->by_client_id}};
    for (size_t i = 0; i < sizeof identities / sizeof identities[0]; i++)
        if (bytes == strlen(identities[i].word) && memcmp(word, identities[i].word, bytes) == 0)
            return identities[i].by;
    return NULL;
}

static int parse_identities(struct settings *settings)
{
    for (const char *word = settings->identities;; word++) {
        size_t bytes = strcspn(word, ",");
        bool *by = identity_of(settings, word, bytes);
        if (by == NULL)
            return -1;
        if (*by)
            return -1;
        *by = true;
        word += bytes;
        if (*word == '\0')
            return 0;
    }
}

/* Token options have no effect where tokens are not accepted, and would guard nothing. */
static int check_tokens(const struct settings *settings, struct error *error)
{
    const struct {
        const char *name, *value;
    } options[] = {{"token_keys", settings->token_keys},
                   {"token_issuer", settings->token_issuer},
                   {"token_audience", settings->token_audience}};
    if (settings->by_token && settings->token_keys[0] == '\0')
        return error_set(
            error, "option token_keys is missing: identities names token, which needs a file: "
                   "a JWKS, or one public key in PEM");
    for (size_t i = 0; !settings->by_token && i < sizeof options / sizeof options[0]; i++)
        if (options[i].value[0] != '\0')
            return error_set(error,
                             "option %s: tokens are ignored because identities does not name "
                             "token; it accepts %s",
                             options[i].name, ACCEPTS_IDENTITIES);
    return 0;
}

/* The checks that the table cannot express. */
static int understand(struct settings *settings, struct error *error)
{
    struct error why;

    if (settings->ring_bytes % RING_UNIT_BYTES != 0)
        return error_set(error, "option ring_bytes: %llu is not %s",
                         (unsigned long long)settings->ring_bytes, ACCEPTS_RING_BYTES);
    if (kind_table_parse(&settings->kind_table, settings->kinds, &why) != 0)
        return error_set(error, "option kinds: %s", why.text);
    if (!article_prefix_valid(settings->topic_prefix))
        return error_set(error, "option topic_prefix: %s is not %s", settings->topic_prefix,
                         ARTICLE_PREFIX_ACCEPTS);
    if (parse_identities(settings) != 0)
        return error_set(error, "option identities: %s is not %s", settings->identities,
                         ACCEPTS_IDENTITIES);
    if (address_nets_parse(&settings->proxy_nets, settings->trusted_proxies) != 0)
        return error_set(error, "option trusted_proxies: %s is not %s", settings->trusted_proxies,
                         ACCEPTS_PROXIES);
    return check_tokens(settings, error);
}

int settings_load(struct settings *settings, const char *const *names, const char *const *values,
                  size_t n, struct error *error)
{
    bool given[sizeof settings_options / sizeof settings_options[0]] = {false};

    memset(settings, 0, sizeof *settings);
    if (option_defaults(settings_options, settings_options_n, settings, error) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (option_set(settings_options, settings_options_n, settings, given, names[i],
                       values[i] == NULL ? "" : values[i], error) != 0)
            return -1;
    if (option_check(settings_options, settings_options_n, given, error) != 0)
        return -1;
    return understand(settings, error);
}

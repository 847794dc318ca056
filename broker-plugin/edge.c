/* Opens everything that admission needs, each part after those that it needs. */
#include "edge.h"

#include "core/error.h"

#include <string.h>
#include <sys/random.h>

/* Capacity of the limit tables, at some 32 bytes per entry: ten times the readers that react within
 * the few seconds that a bucket takes to fill. */
#define READERS_MAX 131072
#define ADDRESSES_MAX 65536
/* Capacity for those who register articles, at most auto_create_rate a minute in all. */
#define CREATORS_MAX 32768

int edge_configure(struct edge *edge, const char *const *names, const char *const *values, size_t n,
                   struct error *error)
{
    struct settings *settings = &edge->settings;

    if (settings_load(settings, names, values, n, error) != 0)
        return -1;
    edge->rules = (struct role_rules){
        .prefix = settings->topic_prefix,
        .prefix_bytes = strlen(settings->topic_prefix),
        .allow_wildcards = settings->allow_wildcards,
        .auto_id_may_react = settings->auto_id_may_react,
        .by_token = settings->by_token,
        .by_username = settings->by_username,
        .by_client_id = settings->by_client_id,
    };
    return 0;
}

static struct ring_producer *ring_of(void *user, uint32_t shard)
{
    return spool_producer_ring(user, shard);
}

static int load_secrets(struct edge *edge, struct error *error)
{
    struct error why;

    if (services_load(&edge->services, edge->settings.services_file, &why) != 0)
        return error_set(error, "option services_file: %s", why.text);
    if (reader_key_load(&edge->admit.key, edge->settings.key_file, &why) != 0)
        return error_set(error, "option key_file: %s", why.text);
    return edge->settings.by_token ? edge_load_token_keys(edge, error) : 0;
}

bool edge_token_keys_changed(struct edge *edge)
{
    return token_keys_changed(edge->settings.token_keys, &edge->token_keys_seen);
}

int edge_load_token_keys(struct edge *edge, struct error *error)
{
    struct error why;

    token_keys_changed(edge->settings.token_keys, &edge->token_keys_seen);
    struct token_keys *keys = token_keys_load(edge->settings.token_keys, &why);
    if (keys == NULL)
        return error_set(error, "option token_keys: %s", why.text);
    token_keys_free(edge->token_keys);
    edge->token_keys = keys;
    return 0;
}

/* A table of buckets with `rate` tokens a period. */
static struct limit_table *table_of(uint32_t max, uint64_t rate, uint64_t period_ns, uint64_t burst,
                                    uint64_t seed)
{
    struct limit_rate bucket = limit_rate_of(rate, period_ns, burst);
    return limit_table_new(max, &bucket, seed);
}

/* The known articles and their states, which apply even where limits are off. */
static int open_registry(struct edge *edge, uint64_t seed, struct error *error)
{
    const struct settings *settings = &edge->settings;
    struct registry_rules rules = {
        .max = (uint32_t)settings->max_articles,
        .everything = !settings->limits,
        .auto_create = settings->auto_create,
        .auto_create_rate = limit_rate_of(settings->auto_create_rate, 60 * LIMIT_SECOND_NS,
                                          settings->auto_create_rate),
        .forget_hours = (uint32_t)settings->forget_hours,
        .key = edge->admit.key,
        .seed = seed,
        .kinds = settings->kind_table,
    };

    if (getrandom(&rules.creator_key, sizeof rules.creator_key, 0) !=
        (ssize_t)sizeof rules.creator_key)
        return error_set(error, "cannot read random bytes from the kernel");
    edge->registry =
        registry_file_open(settings->spool, &rules, edge->note, sizeof edge->note, error);
    explicit_bzero(&rules.key, sizeof rules.key);
    explicit_bzero(&rules.creator_key, sizeof rules.creator_key);
    if (edge->registry == NULL)
        return -1;
    edge->admit.registry = registry_file_contents(edge->registry);
    return 0;
}

static int open_limits(struct edge *edge, uint64_t seed, struct error *error)
{
    const struct settings *settings = &edge->settings;
    struct admit *admit = &edge->admit;

    const uint64_t second = LIMIT_SECOND_NS, minute = 60 * LIMIT_SECOND_NS;

    admit->readers =
        table_of(READERS_MAX, settings->reader_rate, second, settings->reader_burst, seed);
    admit->addresses =
        table_of(ADDRESSES_MAX, settings->address_rate, second, settings->address_burst, seed);
    admit->reader_creates = table_of(CREATORS_MAX, settings->reader_create_rate, minute,
                                     settings->reader_create_burst, seed);
    admit->address_creates = table_of(CREATORS_MAX, settings->address_create_rate, minute,
                                      settings->address_create_burst, seed);
    edge->connections =
        table_of(ADDRESSES_MAX, settings->connect_rate, second, settings->connect_burst, seed);
    edge->refusals_rate =
        limit_rate_of(settings->refusal_rate, LIMIT_SECOND_NS, settings->refusal_burst);
    edge->signatures_rate =
        limit_rate_of(settings->signature_rate, LIMIT_SECOND_NS, settings->signature_burst);
    edge->sessions = session_table_new(CLIENT_MAX, settings->max_sessions);
    if (admit->readers == NULL || admit->addresses == NULL || admit->reader_creates == NULL ||
        admit->address_creates == NULL || edge->connections == NULL || edge->sessions == NULL)
        return error_set(error, "no memory for the limits");
    return 0;
}

int edge_open(struct edge *edge, struct error *error)
{
    const struct settings *settings = &edge->settings;
    uint64_t seed;
    struct spool_producer_want want = {
        .shards = (uint32_t)settings->shards,
        .ring_bytes = settings->ring_bytes,
        .kinds = settings->kind_table,
    };

    if (load_secrets(edge, error) != 0)
        return -1;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return error_set(error, "cannot read random bytes");
    edge->clients = client_table_new(CLIENT_MAX);
    edge->refusals = refusals_new(&edge->admit.key, seed);
    if (edge->clients == NULL || edge->refusals == NULL)
        return error_set(error, "no memory");
    reader_fingerprint(&edge->admit.key, want.fingerprint);
    edge->spool = spool_producer_open(settings->spool, &want, error);
    if (edge->spool == NULL)
        return -1;
    edge->admit.kinds = settings->kind_table;
    edge->admit.shards = want.shards;
    edge->admit.last_stamp = spool_producer_last_stamp(edge->spool);
    edge->admit.late_counter = spool_producer_late_counter(edge->spool);
    edge->admit.ring = ring_of;
    edge->admit.ring_user = edge->spool;
    admit_set_prefix(&edge->admit, settings->topic_prefix);
    if (open_registry(edge, seed, error) != 0)
        return -1;
    return settings->limits ? open_limits(edge, seed, error) : 0;
}

void edge_close(struct edge *edge)
{
    spool_free(edge->spool);
    client_table_free(edge->clients);
    registry_file_close(edge->registry);
    limit_table_free(edge->admit.readers);
    limit_table_free(edge->admit.addresses);
    limit_table_free(edge->admit.reader_creates);
    limit_table_free(edge->admit.address_creates);
    limit_table_free(edge->connections);
    session_table_free(edge->sessions);
    refusals_free(edge->refusals);
    token_keys_free(edge->token_keys);
    explicit_bzero(edge, sizeof *edge);
}

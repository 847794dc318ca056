#include "edge.h"

#include "core/error.h"

#include <string.h>

#define WHY_MAX_BYTES 768

int edge_configure(struct edge *edge, const char *const *names, const char *const *values, size_t n,
                   char *error, size_t error_bytes)
{
    struct settings *settings = &edge->settings;

    if (settings_load(settings, names, values, n, error, error_bytes) != 0)
        return -1;
    edge->rules = (struct role_rules){
        .prefix = settings->topic_prefix,
        .prefix_bytes = strlen(settings->topic_prefix),
        .open_wildcards = settings->open_wildcards,
        .auto_id_may_react = settings->auto_id_may_react,
        .by_username = settings->by_username,
        .by_client_id = settings->by_client_id,
    };
    return 0;
}

static struct spool_producer *ring_of(void *user, uint32_t shard)
{
    return spool_dir_producer(user, shard);
}

static int load_secrets(struct edge *edge, char *error, size_t error_bytes)
{
    char why[WHY_MAX_BYTES];

    if (services_load(&edge->services, edge->settings.services_file, why, sizeof why) != 0)
        return error_say(error, error_bytes, "option services_file: %s", why);
    if (reader_key_load(&edge->admit.key, edge->settings.key_file, why, sizeof why) != 0)
        return error_say(error, error_bytes, "option key_file: %s", why);
    return 0;
}

int edge_open(struct edge *edge, char *error, size_t error_bytes)
{
    const struct settings *settings = &edge->settings;
    struct spool_dir_want want = {
        .shards = (uint32_t)settings->shards,
        .ring_bytes = settings->ring_bytes,
        .kinds = settings->kind_table,
    };

    if (load_secrets(edge, error, error_bytes) != 0)
        return -1;
    edge->clients = client_table_new(CLIENT_MAX);
    if (edge->clients == NULL)
        return error_say(error, error_bytes, "no memory");
    reader_fingerprint(&edge->admit.key, want.fingerprint);
    edge->spool = spool_dir_produce(settings->spool, &want, error, error_bytes);
    if (edge->spool == NULL)
        return -1;
    edge->admit.kinds = settings->kind_table;
    edge->admit.shards = want.shards;
    edge->admit.last_stamp = spool_dir_last_stamp(edge->spool);
    edge->admit.late_counter = spool_dir_late_counter(edge->spool);
    edge->admit.ring = ring_of;
    edge->admit.ring_user = edge->spool;
    admit_set_prefix(&edge->admit, settings->topic_prefix);
    return 0;
}

void edge_close(struct edge *edge)
{
    spool_dir_free(edge->spool);
    client_table_free(edge->clients);
    explicit_bzero(edge, sizeof *edge);
}

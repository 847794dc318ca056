/* The plugin's options, plugin_opt_<name> in the broker's configuration. One thread. */
#ifndef TALLY_BROKER_PLUGIN_SETTINGS_H
#define TALLY_BROKER_PLUGIN_SETTINGS_H

#include "core/address.h"

#include "core/kind.h"
#include "core/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings {
    /* as given */
    char spool[OPTION_TEXT_MAX_BYTES + 1];
    char services_file[OPTION_TEXT_MAX_BYTES + 1];
    char key_file[OPTION_TEXT_MAX_BYTES + 1];
    char kinds[OPTION_TEXT_MAX_BYTES + 1];
    char topic_prefix[OPTION_TEXT_MAX_BYTES + 1];
    char identities[OPTION_TEXT_MAX_BYTES + 1];
    char token_keys[OPTION_TEXT_MAX_BYTES + 1]; /* not empty where by_token */
    char token_issuer[OPTION_TEXT_MAX_BYTES + 1];
    char token_audience[OPTION_TEXT_MAX_BYTES + 1];
    char trusted_proxies[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t shards, ring_bytes, max_subscriptions;
    uint64_t reader_rate, reader_burst, address_rate, address_burst, connect_rate, connect_burst;
    uint64_t refusal_rate, refusal_burst;
    uint64_t signature_rate, signature_burst;
    uint64_t max_sessions;
    uint64_t auto_create_rate, max_articles;
    uint64_t reader_create_rate, reader_create_burst, address_create_rate, address_create_burst;
    uint64_t forget_hours;
    bool allow_wildcards, auto_id_may_react, limits, auto_create;
    /* parsed */
    struct kind_table kind_table;
    bool by_token, by_username, by_client_id;
    struct address_nets proxy_nets;
};

/* The table of the options, for the program and for the test that compares it with
 * docs/reference/options.md. */
extern const struct option settings_options[];
extern const size_t settings_options_n;

/* Fills `settings` from `n` pairs. Returns 0, or -1 with a sentence in `error` that names the
 * option and what it accepts. */
int settings_load(struct settings *settings, const char *const *names, const char *const *values,
                  size_t n, char *error, size_t error_bytes);

#endif

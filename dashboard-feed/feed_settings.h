/* The feed's options, one table. */
#ifndef TALLY_FEED_FEED_SETTINGS_H
#define TALLY_FEED_FEED_SETTINGS_H

#include "core/address.h"
#include "core/error.h"
#include "core/option.h"
#include "daemon/links.h"
#include "daemon/log.h"

#include <stddef.h>
#include <stdint.h>

struct feed_settings {
    char config[OPTION_TEXT_MAX_BYTES + 1];
    struct links links;
    char http_address[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t http_port;
    uint64_t http_rate;
    char trusted_proxies[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t websocket_port;
    char websocket_url[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t publish_interval_ms;
    uint64_t publish_rate;
    uint64_t repeat_ms;
    uint64_t republish_rate;
    uint64_t max_articles;
    uint64_t max_states;
    uint64_t forgotten_s;
    uint64_t probe_interval_ms;
    char log_level_name[OPTION_TEXT_MAX_BYTES + 1];
    char log_format_name[OPTION_TEXT_MAX_BYTES + 1];
    /* Out of the files and names above: */
    struct address_nets proxy_nets;
    enum log_level log_level;
    enum log_format log_format;
    struct links_secrets secrets;
};

extern const struct option feed_settings_table[];
extern const size_t feed_settings_n;

/* Reads the command line, behind the configuration file's [common] and [feed] and the environment
 * (core/config.h; `environment` is like environ), and checks it. Opens no other file. Returns 0; 1
 * if help or version was requested (*help is 'h' or 'v'); -1 with a sentence in `error`. */
int feed_settings_parse(struct feed_settings *settings, int argc, char **argv,
                        char *const *environment, int *help, struct error *error);

/* The same, and reads the files of secrets that the options name. Returns 0; 1 where help or the
 * version was asked for, which it has printed; -1 with one sentence in `error` that names the
 * option. */
int feed_settings_read(struct feed_settings *settings, int argc, char **argv,
                       char *const *environment, struct error *error);

/* Wipes the secrets. */
void feed_settings_wipe(struct feed_settings *settings);

#endif

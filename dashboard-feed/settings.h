/* The feed's options, one table. */
#ifndef TALLY_FEED_SETTINGS_H
#define TALLY_FEED_SETTINGS_H

#include "core/option.h"
#include "core/services.h"
#include "daemon/log.h"

#include <stddef.h>
#include <stdint.h>

struct settings {
    char services_file[OPTION_TEXT_MAX_BYTES + 1];
    char user[OPTION_TEXT_MAX_BYTES + 1];
    char mqtt_host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t mqtt_port;
    char redis_host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t redis_port;
    char redis_password_file[OPTION_TEXT_MAX_BYTES + 1];
    char topic_prefix[OPTION_TEXT_MAX_BYTES + 1];
    char http_address[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t http_port;
    uint64_t websocket_port;
    char websocket_url[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t publish_interval_ms;
    uint64_t repeat_ms;
    uint64_t republish_rate;
    uint64_t max_articles;
    char log_level_name[OPTION_TEXT_MAX_BYTES + 1];
    /* Out of the files and names above: */
    enum log_level log_level;
    char password[SERVICES_SECRET_MAX_BYTES + 1];
    char redis_password[OPTION_TEXT_MAX_BYTES + 1]; /* "" none */
};

extern const struct option settings_table[];
extern const size_t settings_options;

/* Reads the command line, checks it, and reads the files it names. Returns 0; 1 where help or the
 * version was asked for, which it has printed; -1 with one sentence in `error` that names the
 * option. */
int settings_read(struct settings *settings, int argc, char **argv, char *error,
                  size_t error_bytes);

/* Wipes the secrets. */
void settings_wipe(struct settings *settings);

#endif

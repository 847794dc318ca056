/* `tally mosquitto-conf`: the broker's configuration, made from the sections [common], [mosquitto]
 * and [broker] of tally.conf. Prints it, or replaces a file whole. The options are checked as the
 * plugin checks them, so that a mistake is found before the broker restarts. */
#ifndef TALLY_CLI_MOSQUITTO_CONF_H
#define TALLY_CLI_MOSQUITTO_CONF_H

#include "core/error.h"
#include "core/option.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mosquitto_conf {
    char config[OPTION_TEXT_MAX_BYTES + 1];
    char bind_address[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t mqtt_port, websocket_port, max_connections;
    char plugin[OPTION_TEXT_MAX_BYTES + 1];
    char include_dir[OPTION_TEXT_MAX_BYTES + 1];
    char output[OPTION_TEXT_MAX_BYTES + 1];
    /* plugin_opt_ lines; the caller frees */
    char *plugin_options;
};

/* The options of the section [mosquitto]. */
extern const struct option mosquitto_conf_table[];
extern const size_t mosquitto_conf_n;

/* Parses the arguments, and the file and environment behind them (core/config.h). Returns as
 * option_parse does; after 0, mosquitto_conf_fini frees. */
int mosquitto_conf_parse(struct mosquitto_conf *conf, int argc, char **argv,
                         char *const *environment, int *help, struct error *error);
void mosquitto_conf_fini(struct mosquitto_conf *conf);

/* Writes the configuration. */
void mosquitto_conf_print(const struct mosquitto_conf *conf, FILE *out);

int mosquitto_conf_run(int argc, char **argv);

#endif

/* Writes the broker's configuration: the settings that Tally's promises need, with the reason
 * beside each, the listeners, and the plugin's options. */
#include "mosquitto_conf.h"

#include "command.h"

#include "core/config.h"
#include "settings.h" /* the plugin's */

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT(field) offsetof(struct mosquitto_conf, field)

const struct option mosquitto_conf_table[] = {
    CONFIG_OPTION(AT(config)),
    {"bind_address", OPTION_TEXT, AT(bind_address), 1, OPTION_TEXT_MAX_BYTES, "127.0.0.1",
     "an IPv4 address", "where the listeners listen"},
    {"mqtt_port", OPTION_NUMBER, AT(mqtt_port), 1, 65535, "1883", "1 to 65535",
     "port of MQTT over TCP"},
    {"websocket_port", OPTION_NUMBER, AT(websocket_port), 1, 65535, "9001", "1 to 65535",
     "port of MQTT over WebSocket"},
    {"max_connections", OPTION_NUMBER, AT(max_connections), 1, 1000000, "20000", "1 to 1000000",
     "connections to each listener at once"},
    {"plugin", OPTION_TEXT, AT(plugin), 0, OPTION_TEXT_MAX_BYTES, "", "an absolute path, or empty",
     "the broker's plugin; empty: the installed one"},
    {"include_dir", OPTION_TEXT, AT(include_dir), 0, OPTION_TEXT_MAX_BYTES, "",
     "an absolute path, or empty", "a folder with listeners of your own, such as one with TLS"},
    {"output", OPTION_TEXT, AT(output), 1, OPTION_TEXT_MAX_BYTES, "-", "a file, or -",
     "the file to replace; - is standard output"},
};
const size_t mosquitto_conf_n = sizeof mosquitto_conf_table / sizeof mosquitto_conf_table[0];

/* --- the plugin's options --- */

#define PLUGIN_OPTIONS_MAX 64

/* Splits "--name=value" in place into what settings_load takes. */
static void mosquitto_conf_split(char *argument, const char **name, const char **value)
{
    char *equals = strchr(argument, '=');
    *name = argument + 2;
    *value = "";
    if (equals != NULL) {
        *equals = '\0';
        *value = equals + 1;
    }
}

/* What would end its line cannot be written into mosquitto.conf. */
static int mosquitto_conf_text(const char *name, const char *value, struct error *error)
{
    for (; *value != '\0'; value++)
        if ((unsigned char)*value < ' ')
            return error_set(error, "option %s: the value has a control character", name);
    return 0;
}

static int mosquitto_conf_path(const char *name, const char *path, struct error *error)
{
    if (path[0] != '\0' && path[0] != '/')
        return error_set(error, "option %s: %s is not an absolute path", name, path);
    return mosquitto_conf_text(name, path, error);
}

/* Checks the options as the plugin will, and writes their lines. */
static int mosquitto_conf_lines(struct mosquitto_conf *conf, struct config *config,
                                struct error *error)
{
    static struct settings settings; /* large */
    const char *names[PLUGIN_OPTIONS_MAX], *values[PLUGIN_OPTIONS_MAX];
    size_t n = 0, bytes = 0;
    char **argv = config_argv(config);
    for (int i = 1; i < config_argc(config) && n < PLUGIN_OPTIONS_MAX; i++, n++)
        mosquitto_conf_split(argv[i], &names[n], &values[n]);
    for (size_t i = 0; i < n; i++)
        if (mosquitto_conf_text(names[i], values[i], error) != 0)
            return -1;
    if (settings_load(&settings, names, values, n, error) != 0)
        return -1;
    FILE *out = open_memstream(&conf->plugin_options, &bytes);
    if (out == NULL)
        return error_set(error, "out of memory");
    for (size_t i = 0; i < n; i++)
        if (values[i][0] != '\0') /* the broker takes no empty value, and means the default */
            fprintf(out, "plugin_opt_%s %s\n", names[i], values[i]);
    return fclose(out) == 0 ? 0 : error_set(error, "out of memory");
}

/* The plugin's options, from the same file. */
static int mosquitto_conf_plugin(struct mosquitto_conf *conf, const char *file,
                                 char *const *environment, struct error *error)
{
    char named[sizeof "TALLY_CONFIG=" + OPTION_TEXT_MAX_BYTES];
    char *argv[] = {(char *)(uintptr_t) "plugin", NULL};
    size_t n = 0, at = 0;
    while (environment[n] != NULL)
        n++;
    char **variables = calloc(n + 2, sizeof *variables);
    if (variables == NULL)
        return error_set(error, "out of memory");
    if (file != NULL) {
        (void)snprintf(named, sizeof named, "TALLY_CONFIG=%s", file);
        variables[at++] = named; /* the first one counts */
    }
    memcpy(variables + at, environment, n * sizeof *variables);
    struct config *config =
        config_new(settings_options, settings_options_n, "broker", 1, argv, variables, error);
    free(variables);
    if (config == NULL)
        return -1;
    int rc = mosquitto_conf_lines(conf, config, error);
    config_free(config);
    return rc;
}

/* --- the broker's own --- */

static int mosquitto_conf_check(const struct mosquitto_conf *conf, struct error *error)
{
    struct in_addr address;
    if (inet_pton(AF_INET, conf->bind_address, &address) != 1)
        return error_set(error, "option bind_address: %s is not an IPv4 address",
                         conf->bind_address);
    if (conf->mqtt_port == conf->websocket_port)
        return error_set(error,
                         "options mqtt_port and websocket_port are both %u: each needs a port",
                         (unsigned)conf->mqtt_port);
    if (mosquitto_conf_path("plugin", conf->plugin, error) != 0)
        return -1;
    return mosquitto_conf_path("include_dir", conf->include_dir, error);
}

int mosquitto_conf_parse(struct mosquitto_conf *conf, int argc, char **argv,
                         char *const *environment, int *help, struct error *error)
{
    memset(conf, 0, sizeof *conf);
    struct config *config = config_new(mosquitto_conf_table, mosquitto_conf_n, "mosquitto", argc,
                                       argv, environment, error);
    if (config == NULL)
        return -1;
    int rc = option_parse(mosquitto_conf_table, mosquitto_conf_n, conf, config_argc(config),
                          config_argv(config), help, error);
    config_free(config);
    if (rc == 0)
        rc = mosquitto_conf_check(conf, error);
    if (rc == 0)
        rc = mosquitto_conf_plugin(conf, option_argument(argc, argv, "config"), environment, error);
    if (rc != 0)
        mosquitto_conf_fini(conf);
    return rc;
}

void mosquitto_conf_fini(struct mosquitto_conf *conf)
{
    free(conf->plugin_options);
    conf->plugin_options = NULL;
}

void mosquitto_conf_print(const struct mosquitto_conf *conf, FILE *out)
{
    fprintf(out, "# Made by tally mosquitto-conf: what is changed here is overwritten.\n"
                 "log_dest stderr\n"
                 "log_type error\n"
                 "log_type notice\n"
                 "# no warnings: a client can bring one about with each packet, and they name it; "
                 "the plugin's own are notices\n"
                 "# a line for each reader who comes or goes would fill the disk\n"
                 "connection_messages false\n\n"
                 "allow_anonymous true\n"
                 "allow_zero_length_clientid true\n"
                 "auto_id_prefix auto-\n"
                 "persistence false\n"
                 "# an old session is not kept for long: readers need none, and ids are free to "
                 "choose\n"
                 "persistent_client_expiration 1h\n"
                 "# with the default of 1000 a wildcard subscriber misses retained totals; 0 is "
                 "broken\n"
                 "max_queued_messages 100000\n"
                 "# without it, fan-out to MQTT 3.1.1 is quadratic\n"
                 "allow_duplicate_messages true\n"
                 "# above the plugin's own 512, so that the plugin answers\n"
                 "message_size_limit 65536\n"
                 "# a header may announce 256 MiB, and the broker would set that aside\n"
                 "max_packet_size 131072\n"
                 "set_tcp_nodelay true\n\n");
    fprintf(out, "plugin %s\n%s\n", conf->plugin[0] != '\0' ? conf->plugin : TALLY_PLUGIN_FILE,
            conf->plugin_options);
    fprintf(out, "listener %u %s\nmax_connections %u\n\n", (unsigned)conf->mqtt_port,
            conf->bind_address, (unsigned)conf->max_connections);
    fprintf(out,
            "# without socket_domain a WebSocket listener ignores its address and listens "
            "everywhere\n"
            "listener %u %s\nprotocol websockets\nsocket_domain ipv4\nmax_connections %u\n",
            (unsigned)conf->websocket_port, conf->bind_address, (unsigned)conf->max_connections);
    if (conf->include_dir[0] != '\0')
        fprintf(out, "\n# listeners of your own, such as one with TLS\ninclude_dir %s\n",
                conf->include_dir);
}

/* --- the command --- */

static int mosquitto_conf_failed(const char *what, const char *why)
{
    fprintf(stderr, "tally mosquitto-conf: %s: %s\n", what, why);
    return COMMAND_FAILED;
}

/* Replaces the file whole: a broker that starts with half of it would run without the plugin. */
static int mosquitto_conf_replace(const struct mosquitto_conf *conf)
{
    char fresh[OPTION_TEXT_MAX_BYTES + 8];
    (void)snprintf(fresh, sizeof fresh, "%s.new", conf->output);
    FILE *out = fopen(fresh, "we");
    if (out == NULL)
        return mosquitto_conf_failed(fresh, strerror(errno));
    mosquitto_conf_print(conf, out);
    bool bad = fflush(out) != 0 || ferror(out) || fsync(fileno(out)) != 0;
    bad = fclose(out) != 0 || bad;
    if (!bad && rename(fresh, conf->output) == 0)
        return COMMAND_DONE;
    int why = errno;
    (void)unlink(fresh);
    return mosquitto_conf_failed(conf->output, strerror(why));
}

int mosquitto_conf_run(int argc, char **argv)
{
    static struct mosquitto_conf conf; /* large */
    struct error error;
    int help = 0, status = COMMAND_DONE;
    int rc = mosquitto_conf_parse(&conf, argc, argv, environ, &help, &error);
    if (rc == 1 && help == 'v')
        puts("tally " TALLY_VERSION);
    else if (rc == 1)
        option_print(mosquitto_conf_table, mosquitto_conf_n, stdout);
    if (rc == 1)
        return COMMAND_DONE;
    if (rc != 0) {
        fprintf(stderr, "tally mosquitto-conf: %s\n", error.text);
        return COMMAND_FAILED;
    }
    if (strcmp(conf.output, "-") == 0)
        mosquitto_conf_print(&conf, stdout);
    else
        status = mosquitto_conf_replace(&conf);
    if (fflush(stdout) != 0 || ferror(stdout))
        status = mosquitto_conf_failed("standard output", strerror(errno));
    mosquitto_conf_fini(&conf);
    return status;
}

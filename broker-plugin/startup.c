/* Reads the broker's options and configuration, and refuses to start where a promise would break.
 */
#include "startup.h"

#include "broker_config.h"
#include "housekeeping.h"
#include "property.h"

#include "core/error.h"

#include <inttypes.h>

#define OPTIONS_MAX 64

static int configure(struct edge *edge, const struct mosquitto_opt *options, int n,
                     struct error *error)
{
    const char *names[OPTIONS_MAX], *values[OPTIONS_MAX];
    if (n > OPTIONS_MAX)
        return error_set(error, "over %d options", OPTIONS_MAX);
    for (int i = 0; i < n; i++) {
        names[i] = options[i].key;
        values[i] = options[i].value;
    }
    return edge_configure(edge, names, values, (size_t)n, error);
}

static void say_finding(void *user, bool fatal, const char *sentence)
{
    (void)user;
    broker_say(fatal ? MOSQ_LOG_ERR : MOSQ_LOG_WARNING, sentence, "%s", "");
}

/* 0, or -1 if the broker's configuration prevents the promise: all findings are then already
 * logged, and `error` is empty. */
static int check_broker(struct edge *edge, struct error *error)
{
    struct broker_config config;

    if (broker_config_read_own(&config, error) != 0) {
        broker_say(MOSQ_LOG_WARNING, "the broker's configuration cannot be checked",
                   "reason=\"%s\"", error->text);
        return 0;
    }
    error->text[0] = '\0';
    edge->session_expiration_s = config.expiration_s;
    if (broker_config_judge(&config, edge->settings.auto_id_may_react, say_finding, NULL) > 0)
        return -1;
    return 0;
}

/* Whether properties are laid out in memory as property.c assumes. */
static int check_properties(struct error *error)
{
    static const char topic[] = "receipts/proof";
    static const unsigned char correlation[4] = {0, 1, 2, 0xff};
    mosquitto_property *list = NULL;

    bool fits =
        mosquitto_property_add_string(&list, MQTT_PROP_RESPONSE_TOPIC, topic) == MOSQ_ERR_SUCCESS &&
        mosquitto_property_add_binary(&list, MQTT_PROP_CORRELATION_DATA, correlation,
                                      sizeof correlation) == MOSQ_ERR_SUCCESS &&
        property_fits(list, topic, correlation);
    mosquitto_property_free_all(&list);
    return fits ? 0
                : error_set(error, "this version of Mosquitto is not supported: its MQTT 5 "
                                   "properties differ in memory from those of 2.0 and 2.1");
}

int startup_open(struct edge *edge, const struct mosquitto_opt *options, int n, struct error *error)
{
    if (configure(edge, options, n, error) != 0 || check_broker(edge, error) != 0 ||
        check_properties(error) != 0)
        return -1;
    return edge_open(edge, error);
}

void startup_say_ready(const struct edge *edge, bool mosquitto_2_1)
{
    const struct settings *settings = &edge->settings;
    bool safe, survives_reboot;
    const char *kind = spool_file_system(settings->spool, &safe, &survives_reboot);

    broker_say(MOSQ_LOG_NOTICE, "ready",
               "spool=\"%s\" file_system=%s survives_reboot=%s edge=%016" PRIx64 " shards=%" PRIu64
               " ring_bytes=%" PRIu64 " kinds=%s topic_prefix=\"%s\" identities=%s limits=%s"
               " mosquitto=%s headers=" BROKER_HEADERS,
               settings->spool, kind, survives_reboot ? "yes" : "no", spool_id(edge->spool),
               settings->shards, settings->ring_bytes, settings->kinds, settings->topic_prefix,
               settings->identities, settings->limits ? "on" : "off",
               mosquitto_2_1 ? "2.1" : "2.0");
    if (settings->by_token)
        housekeeping_say_token_keys(edge);
    if (edge->note[0] != '\0')
        broker_say(MOSQ_LOG_WARNING, edge->note, "%s", "");
    if (!survives_reboot)
        broker_say(
            MOSQ_LOG_WARNING,
            "the spool does not survive a reboot: reactions that are not applied by then are lost",
            "file_system=%s", kind);
    if (!safe)
        broker_say(
            MOSQ_LOG_WARNING,
            "the spool is on an unsafe file system: a full disk or a lost link kills the broker",
            "file_system=%s", kind);
}

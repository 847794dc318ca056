/* The operator's role may read $SYS/ and ops/. Mosquitto retains $SYS/broker/version itself; the
 * plugin retains ops/refusals as soon as it is ready, and the collector its status each second. */
#include "doctor_broker.h"

#include "retained.h"

#include "core/services.h"
#include "daemon/clock.h"
#include "spool/spool_view.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX_BYTES 65536
#define TOPIC_BYTES (OPTION_TEXT_MAX_BYTES + 32)
#define STATUS_MAX_AGE_MS 5000 /* INTERFACES.md 2.4 */
#define CLOCK_MAX_MS 2000      /* the collector's clock is this host's, or near it */
#define VERSION_BYTES 64

struct heard {
    size_t bytes; /* 0 none */
    char payload[PAYLOAD_MAX_BYTES + 1];
};

static void on_payload(void *user, const char *topic, const char *payload, size_t bytes)
{
    struct heard *heard = user;
    if (topic[0] != '\0' || bytes > PAYLOAD_MAX_BYTES)
        return;
    memcpy(heard->payload, payload, bytes);
    heard->payload[bytes] = '\0';
    heard->bytes = bytes;
}

/* --- the version --- */

void doctor_broker_version(struct doctor_report *report, const char *said, const char *from)
{
    const char *at = strstr(said, "version ");
    unsigned long major = 0, minor = 0;
    char *end = NULL;
    if (at != NULL) {
        major = strtoul(at + 8, &end, 10);
        minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    }
    if (major == 2 && minor <= 1)
        doctor_report_add(report, DOCTOR_OK, "broker", "%s: %.40s", from, said);
    else if (major > 2 || (major == 2 && minor > 1))
        doctor_report_add(report, DOCTOR_WARN, "broker",
                          "%s: %.40s: Tally is tested with 2.0 and 2.1", from, said);
    else
        doctor_report_add(report, DOCTOR_FAIL, "broker",
                          "%s: %.40s: the plugin needs Mosquitto 2.0 or 2.1", from, said);
}

/* Where the broker keeps it to itself (sys_interval 0): the version that is installed. */
static void check_installed(struct doctor_report *report)
{
    char said[VERSION_BYTES] = "";
    FILE *program = popen("PATH=/usr/local/sbin:/usr/sbin:$PATH mosquitto -h 2>/dev/null", "re");
    if (program != NULL) {
        if (fgets(said, sizeof said, program) == NULL)
            said[0] = '\0';
        (void)pclose(program); /* -h ends with 1 */
    }
    said[strcspn(said, "\n")] = '\0';
    if (said[0] == '\0')
        doctor_report_unseen(report, "broker",
                             "Mosquitto's version: neither $SYS/broker/version nor mosquitto -h "
                             "gives it");
    else
        doctor_broker_version(report, said, "mosquitto -h");
}

/* --- the collector --- */

static const char *text_of(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text != NULL ? text : "";
}

static void judge_version(struct doctor_report *report, const char *version)
{
    if (strcmp(version, TALLY_VERSION) == 0)
        doctor_report_add(report, DOCTOR_OK, "versions", "collector %s", version);
    else if (version[0] == '\0')
        doctor_report_add(report, DOCTOR_WARN, "versions",
                          "the collector does not report its version: is it older than this "
                          "command?");
    else
        doctor_report_add(report, DOCTOR_WARN, "versions",
                          "the collector is version %.32s, this command is %s: restart or "
                          "upgrade the older one",
                          version, TALLY_VERSION);
}

static void judge_status(struct doctor_report *report, const cJSON *json, uint64_t now_ms)
{
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(json, "at_ms");
    double age_ms = cJSON_IsNumber(at) ? (double)now_ms - at->valuedouble : 0;
    if (!cJSON_IsNumber(at))
        doctor_report_add(report, DOCTOR_FAIL, "collector",
                          "its status has no time: is it older than this command?");
    else if (age_ms > STATUS_MAX_AGE_MS + CLOCK_MAX_MS)
        doctor_report_add(report, DOCTOR_FAIL, "collector",
                          "its last status is %.0f s old: see journalctl -u tally-collector",
                          age_ms / 1000);
    else if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "ready")))
        doctor_report_add(report, DOCTOR_FAIL, "collector", "not ready: %.256s",
                          text_of(json, "reason"));
    else
        doctor_report_add(report, DOCTOR_OK, "collector", "ready");
    judge_version(report, text_of(json, "version"));
}

void doctor_broker_collector(struct doctor_report *report, const char *payload, size_t bytes,
                             uint64_t now_ms)
{
    cJSON *json = bytes > 0 ? cJSON_ParseWithLength(payload, bytes) : NULL;
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "online")))
        doctor_report_add(report, DOCTOR_FAIL, "collector",
                          "away: see systemctl status tally-collector");
    else
        judge_status(report, json, now_ms);
    cJSON_Delete(json);
}

/* --- the plugin --- */

/* Whether the broker has opened the spool of the configuration, and not another one. */
static void check_producer(const struct doctor_file *file, struct doctor_report *report)
{
    struct error why;
    bool retry = false;
    const char *path = doctor_file_any(file, "spool");
    struct spool_view *view = path != NULL ? spool_view_open(path, &retry, &why) : NULL;
    if (path == NULL)
        return;
    if (view == NULL)
        doctor_report_add(report, DOCTOR_FAIL, "plugin", "spool: %s", why.text);
    else if (spool_view_has_producer(view))
        doctor_report_add(report, DOCTOR_OK, "plugin", "ready: it has the spool");
    else
        doctor_report_add(report, DOCTOR_FAIL, "plugin",
                          "no broker has %s open: compare spool in [broker] with the "
                          "collector's, and restart the broker",
                          path);
    spool_view_free(view);
}

/* --- all of it --- */

/* Asks for one topic. Returns 0, or -1 after a finding. */
static int ask(struct doctor_report *report, struct retained *broker, const char *topic,
               struct heard *heard)
{
    heard->bytes = 0;
    if (retained_topic(broker, topic, on_payload, heard) == 0)
        return 0;
    doctor_report_add(report, DOCTOR_FAIL, "broker", "%s", retained_error(broker));
    return -1;
}

static void look_at(const struct doctor_file *file, struct doctor_report *report,
                    struct retained *broker, const char *prefix)
{
    static struct heard heard; /* large */
    char topic[TOPIC_BYTES];
    if (ask(report, broker, "$SYS/broker/version", &heard) != 0)
        return;
    if (heard.bytes > 0)
        doctor_broker_version(report, heard.payload, "$SYS/broker/version");
    else
        check_installed(report);
    (void)snprintf(topic, sizeof topic, "%sops/refusals", prefix);
    if (ask(report, broker, topic, &heard) != 0)
        return;
    if (heard.bytes == 0)
        doctor_report_add(report, DOCTOR_FAIL, "plugin",
                          "nothing is retained at %s: the broker runs without the plugin, or with "
                          "another topic_prefix",
                          topic);
    else
        check_producer(file, report);
    (void)snprintf(topic, sizeof topic, "%sops/collector", prefix);
    if (ask(report, broker, topic, &heard) == 0)
        doctor_broker_collector(report, heard.payload, heard.bytes, clock_unix_ms());
}

/* The first operator of the services file. NULL after a finding. */
static const struct service *find_operator(const struct doctor_file *file,
                                           struct doctor_report *report, struct services *services)
{
    struct error why;
    const char *path = doctor_file_any(file, "services_file");
    if (path == NULL || services_load(services, path, &why) != 0) {
        doctor_report_unseen(report, "broker",
                             "it takes the secret of an operator from "
                             "services_file");
        return NULL;
    }
    for (int i = 0; i < services->n; i++)
        if (services->service[i].role == ROLE_OPERATOR)
            return &services->service[i];
    doctor_report_unseen(report, "broker",
                         "%s has no operator: add a line \"operator operator SECRET\"", path);
    return NULL;
}

void doctor_broker_check(const struct doctor_file *file, struct doctor_report *report)
{
    static struct services services; /* large */
    static struct links links;       /* large */
    struct error why;
    if (doctor_file_links(file, &links) != 0)
        return;
    const struct service *user = find_operator(file, report, &services);
    if (user != NULL) {
        const struct retained_config config = {.host = links.mqtt_host,
                                               .port = (int)links.mqtt_port,
                                               .username = user->name,
                                               .password = user->secret,
                                               .prefix = links.topic_prefix};
        struct retained *broker = retained_open(&config, &why);
        if (broker == NULL)
            doctor_report_add(report, DOCTOR_FAIL, "broker", "%s", why.text);
        else
            look_at(file, report, broker, links.topic_prefix);
        retained_free(broker);
    }
    sodium_memzero(&services, sizeof services);
}

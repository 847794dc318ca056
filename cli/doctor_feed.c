/* /healthz has a reason for each part of the edge that is away; /metrics has the version. */
#include "doctor_feed.h"

#include "doctor_ports.h"
#include "metric_label.h"
#include "web.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_BYTES 33
#define REASONS_MAX 16

void doctor_feed_health(struct doctor_report *report, int status, const char *body)
{
    cJSON *json = cJSON_Parse(body);
    const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(json, "reasons"), *reason;
    int n = 0;
    if (status == 200) {
        doctor_report_add(report, DOCTOR_OK, "feed", "healthy");
        cJSON_Delete(json);
        return;
    }
    cJSON_ArrayForEach(reason, reasons)
    {
        if (cJSON_IsString(reason) && n++ < REASONS_MAX)
            doctor_report_add(report, DOCTOR_FAIL, "feed", "/healthz: %.512s", reason->valuestring);
    }
    if (n == 0)
        doctor_report_add(report, DOCTOR_FAIL, "feed",
                          "/healthz answers %d: is it a feed that has this port?", status);
    cJSON_Delete(json);
}

void doctor_feed_version(struct doctor_report *report, const char *body)
{
    char version[VERSION_BYTES] = "";
    if (metric_label(body, "tally_build_info", "version", version, sizeof version) != 0)
        doctor_report_add(report, DOCTOR_WARN, "versions",
                          "the feed does not report its version: is it older than this command?");
    else if (strcmp(version, TALLY_VERSION) != 0)
        doctor_report_add(report, DOCTOR_WARN, "versions",
                          "the feed is version %s, this command is %s: restart or upgrade the "
                          "older one",
                          version, TALLY_VERSION);
    else
        doctor_report_add(report, DOCTOR_OK, "versions", "feed %s", version);
}

void doctor_feed_check(const struct doctor_file *file, struct doctor_report *report)
{
    static char body[WEB_BODY_MAX_BYTES + 1];
    struct error why;
    int status = 0;
    const char *address = doctor_file_value(file, DOCTOR_FEED, "http_address");
    const char *port = doctor_file_value(file, DOCTOR_FEED, "http_port");
    struct web *web = address != NULL && port != NULL
                          ? web_new(doctor_ports_target(address), (int)strtoul(port, NULL, 10))
                          : NULL;
    if (web == NULL) {
        doctor_report_unseen(report, "feed", "no memory");
        return;
    }
    if (web_get(web, "/healthz", &status, body, &why) < 0)
        doctor_report_add(report, DOCTOR_FAIL, "feed", "%s", why.text);
    else
        doctor_feed_health(report, status, body);
    if (status != 0 && web_get(web, "/metrics", &status, body, &why) < 0)
        doctor_report_add(report, DOCTOR_FAIL, "feed", "%s", why.text);
    else if (status == 200)
        doctor_feed_version(report, body);
    web_free(web);
}

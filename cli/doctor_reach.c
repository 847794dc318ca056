/* Readers come from elsewhere if the broker listens on another address than the loopback, or if
 * websocket_url names another host: then a proxy is between them. */
#include "doctor_reach.h"

#include "doctor_tls.h"

#include <stdlib.h>
#include <string.h>

#define HOST_BYTES 256

/* The host of a ws:// or wss:// URL. Returns 0, or -1 if it has none, or a bad port. */
static int host_of(const char *url, char host[HOST_BYTES])
{
    const char *at = strstr(url, "://");
    if (at == NULL)
        return -1;
    at += 3;
    const bool brackets = *at == '[';
    const size_t bytes = brackets ? strcspn(at, "]") + 1 : strcspn(at, ":/?");
    const char *end = at + bytes;
    if (bytes == 0 || bytes >= HOST_BYTES || (brackets && at[bytes - 1] != ']'))
        return -1;
    memcpy(host, at, bytes);
    host[bytes] = '\0';
    if (*end == ':') {
        char *stop;
        unsigned long port = strtoul(end + 1, &stop, 10);
        if (stop == end + 1 || port < 1 || port > 65535 || strchr("/?", *stop) == NULL)
            return -1;
    } else if (*end != '\0' && *end != '/' && *end != '?') {
        return -1;
    }
    return 0;
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0 || strcmp(host, "::1") == 0;
}

/* Returns whether it names a host that readers elsewhere can reach. */
static bool judge_url(struct doctor_report *report, const struct doctor_reach *reach)
{
    char host[HOST_BYTES];
    const char *url = reach->websocket_url;
    if (url[0] == '\0') {
        const bool same = strcmp(reach->feed_port, reach->broker_port) == 0;
        doctor_report_add(report, same ? DOCTOR_OK : DOCTOR_WARN, "reach",
                          same ? "websocket_port: the pages use port %s, the broker listens on %s"
                               : "websocket_port: the pages use port %s, the broker listens on %s: "
                                 "set it once, in [common], or set websocket_url",
                          reach->feed_port, reach->broker_port);
        return false;
    }
    if (host_of(url, host) != 0) {
        doctor_report_add(report, DOCTOR_FAIL, "reach",
                          "websocket_url: %s: it has no host, or a port that is not 1 to 65535",
                          url);
        return false;
    }
    if (strncmp(url, "ws:", 3) == 0 && !is_loopback(host))
        doctor_report_add(report, DOCTOR_WARN, "reach",
                          "websocket_url: %s: a page over https may not use ws: use wss", url);
    else
        doctor_report_add(report, DOCTOR_OK, "reach", "websocket_url: %s", url);
    return !is_loopback(host);
}

static void judge_open(struct doctor_report *report, bool open, const char *option,
                       const char *value, const char *what)
{
    if (open)
        doctor_report_add(report, DOCTOR_WARN, "reach", "%s is %s, and readers come: %s", option,
                          value, what);
}

void doctor_reach_judge(struct doctor_report *report, const struct doctor_reach *reach)
{
    const bool named = judge_url(report, reach), listens = !is_loopback(reach->bind_address);
    if (!named && !listens)
        return;
    judge_open(report, reach->allow_wildcards, "allow_wildcards", "on",
               "anyone may watch every total: set it to off in [broker]");
    judge_open(report, reach->auto_id_may_react, "auto_id_may_react", "on",
               "a client reacts again under another id: set it to off in [broker]");
    judge_open(report, !reach->limits, "limits", "off",
               "nothing bounds a reader: set it to on in [broker]");
    if (named && !listens && !reach->own_tls && reach->trusted_proxies[0] == '\0')
        doctor_report_add(
            report, DOCTOR_WARN, "reach",
            "trusted_proxies of [broker] is empty: all readers behind the proxy share "
            "the limits of its address");
}

void doctor_reach_check(const struct doctor_file *file, struct doctor_report *report)
{
    struct doctor_reach reach = {
        .websocket_url = doctor_file_value(file, DOCTOR_FEED, "websocket_url"),
        .feed_port = doctor_file_value(file, DOCTOR_FEED, "websocket_port"),
        .broker_port = doctor_file_value(file, DOCTOR_MOSQUITTO, "websocket_port"),
        .bind_address = doctor_file_value(file, DOCTOR_MOSQUITTO, "bind_address"),
        .trusted_proxies = doctor_file_value(file, DOCTOR_BROKER, "trusted_proxies")};
    if (reach.trusted_proxies == NULL || reach.websocket_url == NULL || reach.broker_port == NULL)
        return; /* their mistakes are reported */
    reach.allow_wildcards = doctor_file_on(file, DOCTOR_BROKER, "allow_wildcards");
    reach.auto_id_may_react = doctor_file_on(file, DOCTOR_BROKER, "auto_id_may_react");
    reach.limits = doctor_file_on(file, DOCTOR_BROKER, "limits");
    reach.own_tls = doctor_tls_listens(doctor_file_include_dir(file));
    doctor_reach_judge(report, &reach);
}

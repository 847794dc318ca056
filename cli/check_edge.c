/* Compares, before an edge joins, what must agree: reader key, shards, kinds, topic prefix, store,
 * and what each shard and each of Redis's nodes says. Each is a line; a line that differs has both
 * values. */
#include "check_edge.h"

#include "broker_options.h"
#include "check_nodes.h"
#include "check_store.h"
#include "command.h"
#include "json_out.h"
#include "metric_label.h"
#include "web.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 2048

struct checking {
    const struct operate_settings *settings;
    struct broker_options here;
    struct store_view *store;
    int differing;
    cJSON *checks; /* with --json: the lines; else NULL */
};

static void line(struct checking *checking, bool agrees, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void line(struct checking *checking, bool agrees, const char *what, const char *format, ...)
{
    char text[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    checking->differing += !agrees;
    if (checking->checks == NULL) {
        printf("%-12s %-8s %s\n", what, agrees ? "agrees" : "differs", text);
        return;
    }
    cJSON *check = cJSON_CreateObject();
    cJSON_AddStringToObject(check, "check", what);
    cJSON_AddBoolToObject(check, "agrees", agrees);
    cJSON_AddStringToObject(check, "text", text);
    cJSON_AddItemToArray(checking->checks, check);
}

static void compare_other(struct checking *checking, const char *prefix, const char *store)
{
    char here[17];
    snprintf(here, sizeof here, "%016" PRIx64, store_view_id(checking->store));
    if (strcmp(prefix, checking->here.topic_prefix) == 0)
        line(checking, true, "topic prefix", "\"%s\"", prefix);
    else
        line(checking, false, "topic prefix", "this edge has \"%s\", %s has \"%s\"",
             checking->here.topic_prefix, checking->settings->other_host, prefix);
    if (strcmp(store, here) == 0)
        line(checking, true, "store", "%s", here);
    else
        line(checking, false, "store", "this Redis holds %s, %s counts into %s: another Redis",
             here, checking->settings->other_host, store);
}

static int check_other(struct checking *checking)
{
    const struct operate_settings *settings = checking->settings;
    static char body[WEB_BODY_MAX_BYTES + 1];
    char prefix[OPTION_TEXT_MAX_BYTES + 1], store[17];
    struct error why;
    int status = 0, result = 0;
    struct web *web = web_new(settings->other_host, (int)settings->other_port);
    if (web == NULL)
        return command_failed(settings, "no memory");
    if (web_get(web, "/metrics", &status, body, &why) < 0)
        result = command_failed(settings, "the other edge: %s", why.text);
    else if (status != 200 ||
             metric_label(body, "tally_edge_info", "topic_prefix", prefix, sizeof prefix) != 0 ||
             metric_label(body, "tally_edge_info", "store", store, sizeof store) != 0)
        result = command_failed(settings,
                                "the other edge: http %s:%d: /metrics answers %d without "
                                "tally_edge_info: is it a feed of this version?",
                                settings->other_host, (int)settings->other_port, status);
    else if (store[0] == '\0')
        result = command_failed(settings,
                                "the other edge: http %s:%d: its collector is away, or not ready",
                                settings->other_host, (int)settings->other_port);
    else
        compare_other(checking, prefix, store);
    web_free(web);
    return result;
}

static void on_finding(void *user, bool agrees, const char *what, const char *text)
{
    line(user, agrees, what, "%s", text);
}

static int check_options(struct checking *checking)
{
    struct error why;
    if (check_store_run(checking->store, &checking->here, on_finding, checking, &why) == 0)
        return 0;
    return command_failed(checking->settings, "%s", why.text);
}

static int check_servers(struct checking *checking)
{
    struct error why;
    if (check_nodes_run(checking->store, checking->settings->durability, on_finding, checking,
                        &why) == 0)
        return 0;
    return command_failed(checking->settings, "%s", why.text);
}

static int check_edge_perform(const struct operate_settings *settings,
                              const struct links_secrets *secrets)
{
    static struct checking checking; /* large */
    struct error why;
    checking.settings = settings;
    if (broker_options_load(&checking.here, settings->broker_config, &why) != 0)
        return command_failed(settings, "%s", why.text);
    checking.store = command_open(settings, secrets, NULL);
    if (checking.store == NULL)
        return COMMAND_FAILED;
    cJSON *object = settings->json ? cJSON_CreateObject() : NULL;
    checking.checks = cJSON_AddArrayToObject(object, "checks");
    int options = check_options(&checking);
    int other = check_other(&checking);
    int servers = check_servers(&checking);
    command_close(checking.store, NULL);
    int status = options != 0 || other != 0 || servers != 0 ? COMMAND_FAILED
                 : checking.differing > 0                   ? COMMAND_REFUSED
                                                            : COMMAND_DONE;
    if (object != NULL) {
        cJSON_AddBoolToObject(object, "agrees", status == COMMAND_DONE);
        cJSON_AddBoolToObject(object, "complete", status != COMMAND_FAILED);
        json_out_print(object, stdout);
    }
    return command_printed(settings, status);
}

int check_edge_run(int argc, char **argv)
{
    return command_run(OPERATE_CHECK_EDGE, argc, argv, check_edge_perform);
}

/* The paths and their answers. */
#include "watch.h"

#include "watch_metrics.h"

#include "daemon/clock.h"
#include "daemon/exposition.h"
#include "daemon/watch_server.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

struct watch {
    struct watch_config config;
    struct watch_server *server; /* NULL: off */
    double started_at_s;
};

static int watch_livez(struct evbuffer *body, const char **type)
{
    *type = "application/json";
    evbuffer_add_printf(body, "{\"status\":\"alive\"}");
    return 200;
}

static int watch_readyz(const struct status *status, struct evbuffer *body, const char **type)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "status", status->ready ? "ready" : "not ready");
    cJSON *reasons = cJSON_AddArrayToObject(json, "reasons");
    if (!status->ready)
        cJSON_AddItemToArray(
            reasons,
            cJSON_CreateString(status->reason[0] != '\0' ? status->reason : "collector: starting"));
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    *type = "application/json";
    evbuffer_add_printf(body, "%s", text != NULL ? text : "{}");
    free(text);
    return status->ready ? 200 : 503;
}

static int on_answer(void *user, const char *path, struct evbuffer *body, const char **type)
{
    static struct status status; /* large */
    const struct watch *watch = user;
    if (strcmp(path, "/livez") == 0)
        return watch_livez(body, type);
    bool metrics = strcmp(path, "/metrics") == 0;
    if (!metrics && strcmp(path, "/readyz") != 0)
        return 404;
    watch->config.status(watch->config.user, &status);
    if (!metrics)
        return watch_readyz(&status, body, type);
    const struct watch_metrics told = {
        .started_at_s = watch->started_at_s,
        .topic_prefix = watch->config.settings->links.topic_prefix,
        .status = &status,
        .timings = watch->config.timings,
    };
    *type = EXPOSITION_TYPE;
    watch_metrics_write(body, &told);
    return 200;
}

struct watch *watch_new(struct event_base *base, const struct watch_config *config,
                        struct error *error)
{
    const struct collector_settings *settings = config->settings;
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        error_set(error, "no memory");
        return NULL;
    }
    watch->config = *config;
    watch->started_at_s = (double)clock_unix_ms() / 1000;
    if (settings->metrics_port == 0)
        return watch;
    const struct watch_server_config server = {
        .address = settings->metrics_address,
        .port = (uint16_t)settings->metrics_port,
        .option_address = "metrics_address",
        .option_port = "metrics_port",
        .answer = on_answer,
        .paths = "known are /metrics, /livez and /readyz",
        .user = watch,
    };
    watch->server = watch_server_new(base, &server, error);
    if (watch->server != NULL)
        return watch;
    watch_free(watch);
    return NULL;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    watch_server_free(watch->server);
    free(watch);
}

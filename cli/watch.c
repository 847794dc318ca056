/* Subscribes to ops/# and to the totals, and shows what they say once a second. The broker may come
 * and go meanwhile. */
#include "watch.h"

#include "command.h"
#include "hot.h"
#include "terminal.h"
#include "watch_print.h"
#include "watch_view.h"

#include "core/mqtt_protocol.h"
#include "daemon/clock.h"
#include "daemon/events.h"
#include "daemon/mqtt_link.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SECOND_MS 1000
#define CONNECT_MS 10000 /* --once gives up */
#define SETTLE_MS 5000   /* --once shows what there is, although no rate is known */
#define HOTTEST_MAX 100
#define SIGNALS 4
#define COUNT_MAX 9007199254740992.0 /* 2^53 */

struct watching {
    const struct operate_settings *settings;
    struct event_base *base;
    struct mqtt_link *link;
    struct event *second, *keys, *signal[SIGNALS];
    struct watch_view view;
    struct hot *hot;
    struct terminal terminal;
    uint64_t begun_ms, up_ms, passed_ms;
    char where[OPTION_TEXT_MAX_BYTES + 16];
    int status;
};

/* --- messages --- */

static void watch_subscribed(void *user)
{
    struct watching *watching = user;
    char filter[OPTION_TEXT_MAX_BYTES + 16];
    watching->up_ms = clock_monotonic_ms();
    snprintf(filter, sizeof filter, "%sops/#", watching->settings->links.topic_prefix);
    (void)mqtt_link_subscribe(watching->link, filter, 0);
    if (watching->settings->shown == 0)
        return;
    snprintf(filter, sizeof filter, "%stotals/#", watching->settings->links.topic_prefix);
    (void)mqtt_link_subscribe_with(watching->link, filter, 0, MQTT_SUB_OPT_SEND_RETAIN_NEVER);
}

/* 0 for what a double does not hold exactly. */
static int64_t watch_count(const cJSON *count)
{
    const bool exact = cJSON_IsNumber(count) && count->valuedouble >= -COUNT_MAX &&
                       count->valuedouble <= COUNT_MAX;
    return exact ? (int64_t)count->valuedouble : 0;
}

static void take_total(struct watching *watching, const char *article, const char *payload,
                       size_t bytes)
{
    int64_t counts[KIND_MAX];
    size_t n = 0;
    const cJSON *count;
    if (bytes == 0 || !article_valid(article, strlen(article)))
        return; /* hidden, or forgotten */
    cJSON *object = cJSON_ParseWithLength(payload, bytes);
    watch_view_published(&watching->view);
    cJSON_ArrayForEach(count, cJSON_GetObjectItemCaseSensitive(object, "counts"))
    {
        if (n < KIND_MAX)
            counts[n++] = watch_count(count);
    }
    if (n > 0)
        hot_take(watching->hot, article, strlen(article), counts, n);
    cJSON_Delete(object);
}

static void watch_heard(void *user, const struct mosquitto_message *message,
                        const mosquitto_property *properties)
{
    struct watching *watching = user;
    const char *prefix = watching->settings->links.topic_prefix, *topic = message->topic;
    (void)properties;
    if (message->payloadlen < 0 || strncmp(topic, prefix, strlen(prefix)) != 0)
        return;
    topic += strlen(prefix);
    if (strncmp(topic, "totals/", 7) == 0 && article_is_probe(topic + 7, strlen(topic + 7)))
        return;
    if (strncmp(topic, "totals/", 7) == 0)
        take_total(watching, topic + 7, message->payload, (size_t)message->payloadlen);
    else
        watch_view_take(&watching->view, topic, message->payload, (size_t)message->payloadlen,
                        clock_monotonic_ms());
}

/* --- showing --- */

static void watch_paint(const struct watch_print *print)
{
    unsigned columns, rows;
    char *text = NULL;
    size_t bytes = 0;
    FILE *lines = open_memstream(&text, &bytes);
    if (lines == NULL)
        return;
    watch_print_text(print, lines);
    if (fclose(lines) == 0) {
        terminal_size(&columns, &rows);
        watch_print_paint(text, columns, rows, stdout);
    }
    free(text);
}

static void watch_show(struct watching *watching)
{
    struct hot_row rows[HOTTEST_MAX];
    const char *why = mqtt_link_why(watching->link);
    const struct watch_print print = {
        .view = &watching->view,
        .now_ms = clock_monotonic_ms(),
        .unix_ms = clock_unix_ms(),
        .where = watching->where,
        .why = mqtt_link_up(watching->link) ? NULL
               : why[0] != '\0'             ? why
                                            : "connecting",
        .hot = rows,
        .hot_n = hot_top(watching->hot, rows, (size_t)watching->settings->shown),
        .totals = watching->settings->shown > 0,
    };
    if (watching->settings->json)
        watch_print_json(&print, stdout);
    else if (watching->terminal.open)
        watch_paint(&print);
    else {
        watch_print_text(&print, stdout);
        fputs(watching->settings->once ? "" : "\n", stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        watching->status = COMMAND_FAILED;
        event_base_loopbreak(watching->base);
    }
}

/* Whether --once has what it shows: rates, or the knowledge that there are none. */
static bool watch_complete(const struct watching *watching, uint64_t now_ms)
{
    const struct watch_view *view = &watching->view;
    return watching->up_ms != 0 && ((view->admitted.rated && view->published.rated) ||
                                    now_ms >= watching->up_ms + SETTLE_MS);
}

static void on_second(evutil_socket_t fd, short what, void *user)
{
    struct watching *watching = user;
    const uint64_t now_ms = clock_monotonic_ms();
    (void)fd;
    (void)what;
    watch_view_pass(&watching->view, now_ms);
    hot_pass(watching->hot, (double)(now_ms - watching->passed_ms) / SECOND_MS);
    watching->passed_ms = now_ms;
    if (!watching->settings->once) {
        watch_show(watching);
    } else if (watch_complete(watching, now_ms)) {
        watch_show(watching);
        event_base_loopbreak(watching->base);
    } else if (watching->up_ms == 0 && now_ms >= watching->begun_ms + CONNECT_MS) {
        const char *why = mqtt_link_why(watching->link);
        watching->status = command_failed(watching->settings, "broker: %s (%s)",
                                          why[0] != '\0' ? why : "no answer", watching->where);
        event_base_loopbreak(watching->base);
    }
}

/* --- the end --- */

static void on_signal(evutil_socket_t number, short what, void *user)
{
    struct watching *watching = user;
    (void)what;
    if (number != SIGWINCH)
        event_base_loopbreak(watching->base);
    else if (watching->terminal.open)
        watch_show(watching);
}

static void on_key(evutil_socket_t fd, short what, void *user)
{
    struct watching *watching = user;
    char key;
    (void)what;
    if (read(fd, &key, 1) != 1 || key == 'q' || key == 'Q')
        event_base_loopbreak(watching->base);
}

/* --- the run --- */

static int make_link(struct watching *watching, const char *password)
{
    const struct links *links = &watching->settings->links;
    char id[40];
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    snprintf(id, sizeof id, "ops-watch-%016" PRIx64, random);
    const struct mqtt_link_config config = {
        .host = links->mqtt_host,
        .port = (int)links->mqtt_port,
        .client_id = id,
        .username = links->user,
        .password = password,
        .on_up = watch_subscribed,
        .on_message = watch_heard,
        .user = watching,
    };
    watching->link = mqtt_link_new(watching->base, &config);
    return watching->link == NULL ? -1 : 0;
}

static int make_events(struct watching *watching)
{
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    for (int i = 0; i < SIGNALS; i++) {
        watching->signal[i] = evsignal_new(watching->base, numbers[i], on_signal, watching);
        if (watching->signal[i] == NULL || event_add(watching->signal[i], NULL) != 0)
            return -1;
    }
    watching->second = event_new(watching->base, -1, EV_PERSIST, on_second, watching);
    return watching->second == NULL ? -1 : events_arm(watching->second, SECOND_MS);
}

static void watch_on_terminal(struct watching *watching)
{
    if (watching->settings->json || watching->settings->once || !terminal_there())
        return;
    terminal_open(&watching->terminal);
    if (!watching->terminal.keys)
        return;
    watching->keys =
        event_new(watching->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_key, watching);
    if (watching->keys != NULL)
        event_add(watching->keys, NULL);
}

static void watch_fini(struct watching *watching)
{
    terminal_close(&watching->terminal);
    mqtt_link_free(watching->link);
    events_free(watching->keys);
    events_free(watching->second);
    for (int i = 0; i < SIGNALS; i++)
        events_free(watching->signal[i]);
    hot_free(watching->hot);
    if (watching->base != NULL)
        event_base_free(watching->base);
}

static int watch_perform(const struct operate_settings *settings,
                         const struct links_secrets *secrets)
{
    static struct watching watching; /* large */
    watching.settings = settings;
    watching.begun_ms = watching.passed_ms = clock_monotonic_ms();
    snprintf(watching.where, sizeof watching.where, "%s:%d", settings->links.mqtt_host,
             (int)settings->links.mqtt_port);
    watch_view_init(&watching.view);
    watching.base = event_base_new();
    watching.hot = hot_new();
    if (watching.base == NULL || watching.hot == NULL || make_link(&watching, secrets->mqtt) != 0 ||
        make_events(&watching) != 0) {
        watching.status = command_failed(settings, "no memory");
    } else {
        watch_on_terminal(&watching);
        if (watching.terminal.open)
            watch_show(&watching);
        (void)event_base_dispatch(watching.base);
    }
    watch_fini(&watching);
    return command_printed(settings, watching.status);
}

int watch_run(int argc, char **argv)
{
    return command_run(OPERATE_WATCH, argc, argv, watch_perform);
}

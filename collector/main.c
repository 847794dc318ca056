/* tally-collector: takes reactions out of the spool into Redis. Wires the parts; see DESIGN for the
 * rest. */
#include "serve.h"

#include "daemon/events.h"
#include "daemon/log.h"
#include "daemon/start.h"
#include "redis/redis_config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_signal(evutil_socket_t signal_number, short what, void *serve)
{
    (void)signal_number;
    (void)what;
    serve_stop(serve);
}

static void on_hang_up(evutil_socket_t signal_number, short what, void *serve)
{
    (void)signal_number;
    (void)what;
    serve_reload(serve);
}

static int main_run(const struct collector_settings *settings, const char *secret,
                    const struct redis_config *redis)
{
    int rc = -1;
    struct event *term = NULL, *interrupt = NULL, *hang_up = NULL;
    struct serve *serve = NULL;
    struct event_base *base = event_base_new();
    if (base == NULL)
        return -1;
    serve = serve_new(base, settings, secret, redis);
    if (serve == NULL)
        goto done;
    term = evsignal_new(base, SIGTERM, on_signal, serve);
    interrupt = evsignal_new(base, SIGINT, on_signal, serve);
    hang_up = evsignal_new(base, SIGHUP, on_hang_up, serve);
    if (term == NULL || interrupt == NULL || hang_up == NULL || event_add(term, NULL) != 0 ||
        event_add(interrupt, NULL) != 0 || event_add(hang_up, NULL) != 0)
        goto done;
    start_hold_signals(false);
    rc = serve_run(serve);
done:
    events_free(term);
    events_free(interrupt);
    events_free(hang_up);
    serve_free(serve);
    event_base_free(base);
    return rc;
}

int main(int argc, char **argv)
{
    static struct collector_settings settings;
    static struct redis_config redis; /* large */
    struct links_secrets secrets;
    struct error error;
    int help = 0;
    start_hold_signals(true);
    int rc = collector_settings_parse(&settings, argc, argv, environ, &help, &error);
    if (rc == 1 && help == 'v') {
        puts("tally-collector " TALLY_VERSION);
        return EXIT_SUCCESS;
    }
    if (rc == 1) {
        option_print(collector_settings_table, collector_settings_n, stdout);
        return EXIT_SUCCESS;
    }
    log_init("tally-collector", rc == 0 ? settings.level : LOG_LEVEL_INFO);
    log_use(rc == 0 ? settings.format : LOG_FORMAT_LOGFMT);
    if (rc == 0)
        rc = links_secrets_load(&secrets, &settings.links, ROLE_COLLECTOR, &error);
    if (rc == 0) {
        rc = redis_config_init(&redis, &settings.links,
                               secrets.redis[0] != '\0' ? secrets.redis : NULL, &error);
        if (rc != 0)
            links_wipe(&secrets);
    }
    if (rc != 0) {
        log_line(LOG_LEVEL_ERROR, error.text, NULL);
        return EXIT_FAILURE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    start_libevent_log();
    rc = main_run(&settings, secrets.mqtt, &redis);
    redis_config_fini(&redis);
    links_wipe(&secrets);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

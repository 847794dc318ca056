/* tally-collector: takes reactions out of the spool into Redis. Wires; DESIGN tells the rest. */
#include "serve.h"

#include "core/error.h"
#include "core/services.h"
#include "daemon/log.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_signal(evutil_socket_t signal_number, short what, void *serve)
{
    (void)signal_number;
    (void)what;
    serve_stop(serve);
}

/* The first line of a file, which may be absent (""). */
static int read_password(const char *path, char *out, int bytes)
{
    if (path[0] == '\0')
        return 0;
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(out, bytes, file) == NULL) {
        if (file != NULL)
            (void)fclose(file);
        return -1;
    }
    (void)fclose(file);
    out[strcspn(out, "\r\n")] = '\0';
    return 1;
}

static int run(const struct settings *settings, const char *secret, const char *password)
{
    int rc = -1;
    struct event *term = NULL, *interrupt = NULL;
    struct serve *serve = NULL;
    struct event_base *base = event_base_new();
    if (base == NULL)
        return -1;
    serve = serve_new(base, settings, secret, password);
    if (serve == NULL)
        goto done;
    term = evsignal_new(base, SIGTERM, on_signal, serve);
    interrupt = evsignal_new(base, SIGINT, on_signal, serve);
    if (term == NULL || interrupt == NULL || event_add(term, NULL) != 0 ||
        event_add(interrupt, NULL) != 0)
        goto done;
    rc = serve_run(serve);
done:
    if (term != NULL)
        event_free(term);
    if (interrupt != NULL)
        event_free(interrupt);
    serve_free(serve);
    event_base_free(base);
    return rc;
}

int main(int argc, char **argv)
{
    static struct settings settings;
    static struct services services;
    char error[512], password[256] = "";
    int help = 0;
    int rc = settings_parse(&settings, argc, argv, &help, error, sizeof error);
    if (rc == 1 && help == 'v') {
        puts("tally-collector " TALLY_VERSION);
        return EXIT_SUCCESS;
    }
    if (rc == 1) {
        option_print(settings_table, settings_count, stdout);
        return EXIT_SUCCESS;
    }
    log_init("tally-collector", rc == 0 ? settings.level : LOG_LEVEL_INFO);
    if (rc == 0 && sodium_init() < 0)
        rc = error_say(error, sizeof error, "libsodium does not start");
    if (rc == 0)
        rc = services_load(&services, settings.services_file, error, sizeof error);
    const struct service *service = rc == 0 ? services_find(&services, settings.user) : NULL;
    if (rc == 0 && service == NULL)
        rc = error_say(error, sizeof error, "option user: %s is not in %s", settings.user,
                       settings.services_file);
    int has_password =
        rc == 0 ? read_password(settings.redis_password_file, password, sizeof password) : 0;
    if (has_password < 0)
        rc = error_say(error, sizeof error, "option redis_password_file: %s cannot be read",
                       settings.redis_password_file);
    if (rc != 0) {
        log_line(LOG_LEVEL_ERROR, error, NULL);
        return EXIT_FAILURE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    rc = run(&settings, service->secret, has_password > 0 ? password : NULL);
    sodium_memzero(password, sizeof password);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

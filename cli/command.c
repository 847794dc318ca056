/* The start and the end that all commands share, and their one way to report an error. */
#include "command.h"

#include "daemon/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void command_say(enum operate_command command, const char *format, va_list arguments)
{
    fprintf(stderr, "tally %s: ", operate_settings_name(command));
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int command_refused(const struct operate_settings *settings, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    command_say(settings->command, format, arguments);
    va_end(arguments);
    return COMMAND_REFUSED;
}

int command_failed(const struct operate_settings *settings, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    command_say(settings->command, format, arguments);
    va_end(arguments);
    return COMMAND_FAILED;
}

int command_printed(const struct operate_settings *settings, int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return status;
    return command_failed(settings, "cannot write everything to standard output");
}

int command_run(enum operate_command command, int argc, char **argv,
                int (*run)(const struct operate_settings *settings,
                           const struct links_secrets *secrets))
{
    static struct operate_settings settings; /* large */
    struct links_secrets secrets;
    struct error error;
    int help = 0;
    int rc = operate_settings_parse(&settings, command, argc, argv, environ, &help, &error);
    if (rc == 1) {
        if (help == 'v')
            puts("tally " TALLY_VERSION);
        else
            operate_settings_print(command, stdout);
        return COMMAND_DONE;
    }
    log_init("tally", LOG_LEVEL_ERROR);
    if (rc != 0)
        return command_failed(&settings, "%s", error.text);
    if (command == OPERATE_ARTICLE || command == OPERATE_WATCH)
        rc = links_secrets_load(&secrets, &settings.links, ROLE_OPERATOR, &error);
    else
        rc = links_redis_load(&secrets, &settings.links, &error);
    rc = rc == 0 ? run(&settings, &secrets) : command_failed(&settings, "%s", error.text);
    links_wipe(&secrets);
    return rc;
}

struct store_view *command_open(const struct operate_settings *settings,
                                const struct links_secrets *secrets, struct store_edit **edit)
{
    struct error why;
    struct store_view *store =
        store_view_open(&settings->links, secrets->redis[0] != '\0' ? secrets->redis : NULL, &why);
    if (store == NULL) {
        (void)command_failed(settings, "%s", why.text);
        return NULL;
    }
    if (edit == NULL)
        return store;
    *edit = store_edit_new(store, &why);
    if (*edit == NULL) {
        (void)command_failed(settings, "%s", why.text);
        goto fail;
    }
    if (!settings->dry_run && store_edit_drop(*edit) != 0) {
        (void)command_failed(settings, "%s", store_edit_error(*edit));
        goto fail;
    }
    return store;
fail:
    command_close(store, *edit);
    return NULL;
}

void command_close(struct store_view *store, struct store_edit *edit)
{
    store_edit_free(edit);
    store_view_free(store);
}

int command_replicated(const struct operate_settings *settings, struct store_edit *edit, int status)
{
    if (settings->dry_run || store_edit_replicate(edit) == 0)
        return status;
    return command_failed(settings, "%s", store_edit_error(edit));
}

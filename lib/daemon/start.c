#include "daemon/start.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *role_word(enum role role)
{
    return role == ROLE_FEED        ? "feed"
           : role == ROLE_COLLECTOR ? "collector"
           : role == ROLE_OPERATOR  ? "operator"
                                    : "";
}

int start_secret(const char *services_file, const char *user, enum role role,
                 char secret[SERVICES_SECRET_MAX_BYTES + 1], char *error, size_t error_bytes)
{
    struct services services;
    char why[256];
    int result = -1;
    if (services_load(&services, services_file, why, sizeof why) != 0)
        return error_say(error, error_bytes, "option services_file: %s", why);
    const struct service *service = services_find(&services, user);
    if (service == NULL)
        error_say(error, error_bytes, "option user: %.120s stands in no line of %s", user,
                  services_file);
    else if (service->role != role)
        error_say(error, error_bytes, "option user: %.120s has not the role %s in %s", user,
                  role_word(role), services_file);
    else {
        memcpy(secret, service->secret, sizeof service->secret);
        result = 0;
    }
    explicit_bzero(&services, sizeof services);
    return result;
}

int start_redis_password(const char *path, char *password, size_t password_bytes, char *error,
                         size_t error_bytes)
{
    struct stat status;
    password[0] = '\0';
    if (path[0] == '\0')
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_say(error, error_bytes, "option redis_password_file: %s: %s", path,
                         strerror(errno));
    ssize_t bytes = -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 007) == 0)
        bytes = read(fd, password, password_bytes - 1);
    close(fd);
    if (bytes < 0)
        return error_say(error, error_bytes,
                         "option redis_password_file: %.120s is not a file that others cannot "
                         "read, or empty",
                         path);
    password[bytes] = '\0';
    password[strcspn(password, "\r\n")] = '\0';
    if (password[0] == '\0')
        return error_say(error, error_bytes,
                         "option redis_password_file: %s has no password on its first line", path);
    return 0;
}

int start_log_level(const char *name, enum log_level *level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    return -1;
}

void start_hold_signals(bool hold)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &ends, NULL);
}

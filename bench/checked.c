/* Checks of options that the table cannot express, shared by the programs of the bench. */
#include "checked.h"

#include "core/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define SPARE_FILES 16 /* beside the connections' */

int checked_protocol(const char *protocol, enum wire_version *out, struct error *error)
{
    if (strcmp(protocol, "5") == 0)
        *out = WIRE_5;
    else if (strcmp(protocol, "3.1.1") == 0)
        *out = WIRE_311;
    else
        return error_set(error, "option protocol: %.60s is not 3.1.1 or 5", protocol);
    return 0;
}

int checked_password(const char *path, char out[CHECKED_PASSWORD_MAX_BYTES + 1],
                     struct error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set(error, "option password_file: %s: %s", path, strerror(errno));
    if (fgets(out, CHECKED_PASSWORD_MAX_BYTES + 1, file) == NULL)
        out[0] = '\0';
    (void)fclose(file);
    out[strcspn(out, "\n")] = '\0';
    return out[0] != '\0'
               ? 0
               : error_set(error, "option password_file: %s holds no password in its first line",
                           path);
}

int checked_connections(uint64_t connections, struct error *error)
{
    struct rlimit limit;
    rlim_t needed = connections + SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return error_set(error, "getrlimit: %s", strerror(errno));
    if (limit.rlim_max < needed)
        return error_set(error,
                         "option connections: %llu in all need %llu open files, the limit (ulimit "
                         "-Hn) is %llu",
                         (unsigned long long)connections, (unsigned long long)needed,
                         (unsigned long long)limit.rlim_max);
    if (limit.rlim_cur >= needed)
        return 0;
    limit.rlim_cur = needed;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0
               ? 0
               : error_set(error, "setrlimit: %s", strerror(errno));
}

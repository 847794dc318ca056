/* Opens the file, checks its type and mode, then reads it up to a bound. */
#include "core/secret_file.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads to the end of the file. Returns its length, `max` + 1 if it is longer than `max`, or -1. */
static ssize_t read_all(int fd, char *out, size_t max)
{
    size_t have = 0;
    char more;
    while (have <= max) {
        ssize_t n = have < max ? read(fd, out + have, max - have) : read(fd, &more, 1);
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

int secret_file_refuse(const char *path, struct error *error)
{
    return error_set(error, "%s: others may read or write it; its mode must be 0600 or 0640", path);
}

/* Reads the file. Rejects one that others have access to, unless `shared` is given: *shared then
 * says whether they have. */
static ssize_t read_file(const char *path, char *out, size_t max, _Bool *shared,
                         struct error *error)
{
    struct stat status;
    ssize_t bytes = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* does not wait for a FIFO */
    if (fd < 0)
        return error_set(error, "%s: %s", path, strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        error_set(error, "%s: is not a file", path);
    else if ((status.st_mode & 007) && shared == NULL)
        secret_file_refuse(path, error);
    else if ((bytes = read_all(fd, out, max)) < 0)
        error_set(error, "%s: %s", path, strerror(errno));
    close(fd);
    if (bytes > (ssize_t)max)
        return error_set(error, "%s: is longer than %zu bytes", path, max);
    if (bytes >= 0 && shared != NULL)
        *shared = (status.st_mode & 007) != 0;
    return bytes;
}

ssize_t secret_file_read(const char *path, char *out, size_t max, struct error *error)
{
    return read_file(path, out, max, NULL, error);
}

ssize_t secret_file_read_any(const char *path, char *out, size_t max, _Bool *shared,
                             struct error *error)
{
    return read_file(path, out, max, shared, error);
}

/* Parses the services file line by line, and compares secrets in constant time. */
#include "core/services.h"

#include "core/error.h"
#include "core/secret_file.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#define SECRET_MIN_BYTES 16
#define FILE_MAX_BYTES 32768

static bool parse_role(const char *word, size_t bytes, enum role *out)
{
    static const struct {
        const char *word;
        enum role role;
    } roles[] = {{"newsroom", ROLE_NEWSROOM},
                 {"operator", ROLE_OPERATOR},
                 {"collector", ROLE_COLLECTOR},
                 {"feed", ROLE_FEED},
                 {"gateway", ROLE_GATEWAY}};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strlen(roles[i].word) == bytes && memcmp(roles[i].word, word, bytes) == 0) {
            *out = roles[i].role;
            return true;
        }
    return false;
}

static bool name_valid(const char *name, size_t bytes)
{
    if (bytes == 0 || bytes > SERVICES_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
              name[i] == '-'))
            return false;
    return true;
}

static bool secret_valid(const char *secret, size_t bytes)
{
    if (bytes < SECRET_MIN_BYTES || bytes > SERVICES_SECRET_MAX_BYTES)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (secret[i] <= ' ' || secret[i] > '~')
            return false;
    return true;
}

/* Adds the service on the line of `bytes` bytes. Returns NULL, or the error, which never quotes the
 * line. */
static const char *parse_line(struct services *services, const char *line, size_t bytes)
{
    if (bytes == 0 || line[0] == '#')
        return NULL;
    const char *end = line + bytes;
    const char *after_name = memchr(line, ' ', bytes);
    const char *role = after_name == NULL ? NULL : after_name + 1;
    const char *after_role = role == NULL ? NULL : memchr(role, ' ', (size_t)(end - role));
    if (after_role == NULL)
        return "is not '<username> <role> <secret>'";

    struct service service = {0};
    size_t name_bytes = (size_t)(after_name - line);
    const char *secret = after_role + 1;
    size_t secret_bytes = (size_t)(end - secret);
    if (!name_valid(line, name_bytes))
        return "username is not 1 to 64 of a-z, 0-9 and -";
    if (!parse_role(role, (size_t)(after_role - role), &service.role))
        return "role is not collector, feed, operator, newsroom or gateway";
    if (!secret_valid(secret, secret_bytes))
        return "secret is not 16 to 128 printable characters without spaces";
    memcpy(service.name, line, name_bytes);
    memcpy(service.secret, secret, secret_bytes);
    const char *wrong = NULL;
    if (services_find(services, service.name) != NULL)
        wrong = "username appears twice";
    else if (services->n == SERVICES_MAX)
        wrong = "exceeds the limit of 64 services";
    else
        services->service[services->n++] = service;
    sodium_memzero(&service, sizeof service);
    return wrong;
}

int services_load(struct services *services, const char *path, struct error *error)
{
    char text[FILE_MAX_BYTES];
    int result = -1;

    memset(services, 0, sizeof *services);
    if (sodium_init() < 0)
        return error_set(error, "cannot initialise libsodium");
    ssize_t bytes = secret_file_read(path, text, sizeof text, error);
    if (bytes < 0)
        goto out;
    int number = 1;
    for (const char *line = text, *end = text + bytes; line < end; number++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t line_bytes = (size_t)((newline == NULL ? end : newline) - line);
        const char *wrong = parse_line(services, line, line_bytes);
        if (wrong != NULL) {
            error_set(error, "%s:%d: %s", path, number, wrong);
            goto out;
        }
        line += line_bytes + 1;
    }
    result = 0;
out:
    sodium_memzero(text, sizeof text);
    if (result != 0)
        sodium_memzero(services, sizeof *services);
    return result;
}

const struct service *services_find(const struct services *services, const char *name)
{
    for (int i = 0; i < services->n; i++)
        if (strcmp(services->service[i].name, name) == 0)
            return &services->service[i];
    return NULL;
}

int services_secret_fits(const struct service *service, const char *secret)
{
    char padded[sizeof service->secret] = {0};
    size_t bytes = secret == NULL ? 0 : strnlen(secret, sizeof padded);
    if (bytes == 0 || bytes == sizeof padded)
        return 0;
    memcpy(padded, secret, bytes);
    int fits = sodium_memcmp(padded, service->secret, sizeof padded) == 0;
    sodium_memzero(padded, sizeof padded);
    return fits;
}

#include "daemon/links.h"

#include "core/error.h"
#include "core/secret_file.h"

#include <sodium.h>
#include <string.h>

static const char *role_word(enum role role)
{
    return role == ROLE_FEED        ? "feed"
           : role == ROLE_COLLECTOR ? "collector"
           : role == ROLE_OPERATOR  ? "operator"
           : role == ROLE_GATEWAY   ? "gateway"
                                    : "newsroom";
}

int links_check(const struct links *links, char *error, size_t error_bytes)
{
    if (!article_prefix_valid(links->topic_prefix))
        return error_say(error, error_bytes, "option topic_prefix: %s is not %s",
                         links->topic_prefix, ARTICLE_PREFIX_ACCEPTS);
    return 0;
}

static int load_user(struct links_secrets *secrets, const struct links *links, enum role role,
                     char *error, size_t error_bytes)
{
    struct services services;
    char why[512];
    int result = -1;
    if (services_load(&services, links->services_file, why, sizeof why) != 0)
        return error_say(error, error_bytes, "option services_file: %s", why);
    const struct service *service = services_find(&services, links->user);
    if (service == NULL)
        error_say(error, error_bytes, "option user: %.120s is in no line of %s", links->user,
                  links->services_file);
    else if (service->role != role)
        error_say(error, error_bytes, "option user: %.120s has not the role %s in %s", links->user,
                  role_word(role), links->services_file);
    else {
        memcpy(secrets->mqtt, service->secret, sizeof secrets->mqtt);
        result = 0;
    }
    sodium_memzero(&services, sizeof services);
    return result;
}

static int load_redis(struct links_secrets *secrets, const struct links *links, char *error,
                      size_t error_bytes)
{
    char why[512];
    if (links->redis_password_file[0] == '\0')
        return 0;
    ssize_t bytes = secret_file_read(links->redis_password_file, secrets->redis,
                                     sizeof secrets->redis - 1, why, sizeof why);
    if (bytes < 0)
        return error_say(error, error_bytes, "option redis_password_file: %s", why);
    secrets->redis[strcspn(secrets->redis, "\r\n")] = '\0';
    if (secrets->redis[0] == '\0')
        return error_say(error, error_bytes,
                         "option redis_password_file: %s has no password on its first line",
                         links->redis_password_file);
    return 0;
}

int links_secrets_load(struct links_secrets *secrets, const struct links *links, enum role role,
                       char *error, size_t error_bytes)
{
    memset(secrets, 0, sizeof *secrets);
    if (sodium_init() < 0)
        return error_say(error, error_bytes, "libsodium cannot be initialised");
    if (load_user(secrets, links, role, error, error_bytes) == 0 &&
        load_redis(secrets, links, error, error_bytes) == 0)
        return 0;
    links_wipe(secrets);
    return -1;
}

int links_redis_load(struct links_secrets *secrets, const struct links *links, char *error,
                     size_t error_bytes)
{
    memset(secrets, 0, sizeof *secrets);
    if (load_redis(secrets, links, error, error_bytes) == 0)
        return 0;
    links_wipe(secrets);
    return -1;
}

void links_wipe(struct links_secrets *secrets)
{
    sodium_memzero(secrets, sizeof *secrets);
}

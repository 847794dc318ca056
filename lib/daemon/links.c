/* Checks the options that belong together, and reads the secrets that they name. */
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

static int check_redis(const struct links *links, int argc, char **argv, struct error *error)
{
    struct redis_url url = {0};
    struct error why;
    if (links->redis_url[0] != '\0') {
        if (redis_url_parse(&url, links->redis_url, &why) != 0)
            return error_set(error, "option redis_url: %s", why.text);
        if (option_given(argc, argv, "redis_host") || option_given(argc, argv, "redis_port"))
            return error_set(
                error, "option redis_url: give it, or redis_host and redis_port, but not both");
    }
    if (!redis_key_prefix_valid(links->redis_prefix))
        return error_set(error, "option redis_prefix: %s is not %s", links->redis_prefix,
                         REDIS_KEY_PREFIX_ACCEPTS);
    if ((links->redis_cert_file[0] != '\0') != (links->redis_key_file[0] != '\0'))
        return error_set(error, "option %s: redis_cert_file and redis_key_file go together",
                         links->redis_cert_file[0] != '\0' ? "redis_cert_file" : "redis_key_file");
    const char *needs_tls = links->redis_ca_file[0] != '\0'       ? "redis_ca_file"
                            : links->redis_cert_file[0] != '\0'   ? "redis_cert_file"
                            : links->redis_server_name[0] != '\0' ? "redis_server_name"
                                                                  : NULL;
    if (needs_tls != NULL && !url.tls)
        return error_set(
            error, "option %s: it is for TLS, and redis_url does not begin with rediss", needs_tls);
    return 0;
}

int links_check(const struct links *links, int argc, char **argv, struct error *error)
{
    if (!article_prefix_valid(links->topic_prefix))
        return error_set(error, "option topic_prefix: %s is not %s", links->topic_prefix,
                         ARTICLE_PREFIX_ACCEPTS);
    return check_redis(links, argc, argv, error);
}

static int load_user(struct links_secrets *secrets, const struct links *links, enum role role,
                     struct error *error)
{
    struct services services;
    struct error why;
    int result = -1;
    if (services_load(&services, links->services_file, &why) != 0)
        return error_set(error, "option services_file: %s", why.text);
    const struct service *service = services_find(&services, links->user);
    if (service == NULL)
        error_set(error, "option user: %.120s is not in %s", links->user, links->services_file);
    else if (service->role != role)
        error_set(error, "option user: %.120s does not have the role %s in %s", links->user,
                  role_word(role), links->services_file);
    else {
        memcpy(secrets->mqtt, service->secret, sizeof secrets->mqtt);
        result = 0;
    }
    sodium_memzero(&services, sizeof services);
    return result;
}

static int load_redis(struct links_secrets *secrets, const struct links *links, struct error *error)
{
    struct error why;
    if (links->redis_password_file[0] == '\0')
        return 0;
    ssize_t bytes = secret_file_read(links->redis_password_file, secrets->redis,
                                     sizeof secrets->redis - 1, &why);
    if (bytes < 0)
        return error_set(error, "option redis_password_file: %s", why.text);
    secrets->redis[strcspn(secrets->redis, "\r\n")] = '\0';
    if (secrets->redis[0] == '\0')
        return error_set(error, "option redis_password_file: %s has no password on its first line",
                         links->redis_password_file);
    return 0;
}

int links_secrets_load(struct links_secrets *secrets, const struct links *links, enum role role,
                       struct error *error)
{
    memset(secrets, 0, sizeof *secrets);
    if (sodium_init() < 0)
        return error_set(error, "cannot initialise libsodium");
    if (load_user(secrets, links, role, error) == 0 && load_redis(secrets, links, error) == 0)
        return 0;
    links_wipe(secrets);
    return -1;
}

int links_redis_load(struct links_secrets *secrets, const struct links *links, struct error *error)
{
    memset(secrets, 0, sizeof *secrets);
    if (load_redis(secrets, links, error) == 0)
        return 0;
    links_wipe(secrets);
    return -1;
}

void links_wipe(struct links_secrets *secrets)
{
    sodium_memzero(secrets, sizeof *secrets);
}

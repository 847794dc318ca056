/* Turns the options of a program into what a link takes. redis_host and redis_port are the short
 * form of redis_url. */
#include "redis/redis_config.h"

#include <string.h>

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static int read_url(struct redis_config *config, const struct links *links, struct error *error)
{
    struct error why;
    if (links->redis_url[0] == '\0') {
        redis_url_of_host(&config->url, links->redis_host, (int)links->redis_port);
        return 0;
    }
    if (redis_url_parse(&config->url, links->redis_url, &why) != 0)
        return error_set(error, "option redis_url: %s", why.text);
    return 0;
}

int redis_config_init(struct redis_config *config, const struct links *links, const char *password,
                      struct error *error)
{
    struct error why;
    memset(config, 0, sizeof *config);
    if (read_url(config, links, error) != 0)
        return -1;
    if (config->url.tls) {
        const struct redis_tls_config tls = {
            .ca_file = or_null(links->redis_ca_file),
            .cert_file = or_null(links->redis_cert_file),
            .key_file = or_null(links->redis_key_file),
            .server_name = or_null(links->redis_server_name),
        };
        config->tls = redis_tls_new(&tls, &why);
        if (config->tls == NULL)
            return error_set(error, "TLS to Redis: %s", why.text);
    }
    config->link = (struct redis_link_config){
        .host = config->url.seeds[0].host,
        .port = config->url.seeds[0].port,
        .username = or_null(config->url.user),
        .password = password,
        .db = config->url.db,
        .tls = config->tls,
        .prefix = links->redis_prefix,
    };
    return 0;
}

void redis_config_fini(struct redis_config *config)
{
    redis_tls_free(config->tls);
    config->tls = NULL;
}

/* The options for connecting to the broker and Redis, the same in every program. */
#ifndef TALLY_DAEMON_LINKS_H
#define TALLY_DAEMON_LINKS_H

#include "core/article.h"
#include "core/error.h"
#include "core/option.h"
#include "core/services.h"
#include "redis/redis_key.h"
#include "redis/redis_url.h"

#include <stddef.h>
#include <stdint.h>

#define LINKS_REDIS_HOST "127.0.0.1"
#define LINKS_REDIS_PORT "6390"

struct links {
    char services_file[OPTION_TEXT_MAX_BYTES + 1];
    char user[OPTION_TEXT_MAX_BYTES + 1];
    char mqtt_host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t mqtt_port;
    char redis_host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t redis_port;
    char redis_url[OPTION_TEXT_MAX_BYTES + 1];
    char redis_password_file[OPTION_TEXT_MAX_BYTES + 1];
    char redis_ca_file[OPTION_TEXT_MAX_BYTES + 1];
    char redis_cert_file[OPTION_TEXT_MAX_BYTES + 1];
    char redis_key_file[OPTION_TEXT_MAX_BYTES + 1];
    char redis_server_name[OPTION_TEXT_MAX_BYTES + 1];
    char redis_prefix[OPTION_TEXT_MAX_BYTES + 1];
    char topic_prefix[OPTION_TEXT_MAX_BYTES + 1];
};

/* The contents of the files among them. */
struct links_secrets {
    char mqtt[SERVICES_SECRET_MAX_BYTES + 1];
    char redis[OPTION_TEXT_MAX_BYTES + 1]; /* "" none */
};

#define LINKS_TEXT(at, field, required, initial, accepts, help)                                    \
    {                                                                                              \
#field, OPTION_TEXT, (at) + offsetof(struct links, field), required,                       \
            OPTION_TEXT_MAX_BYTES, initial, accepts, help                                          \
    }
#define LINKS_PORT(at, field, initial, help)                                                       \
    {                                                                                              \
#field, OPTION_NUMBER, (at) + offsetof(struct links, field), 1, 65535, initial,            \
            "1 to 65535", help                                                                     \
    }

/* Rows that the operator's commands have, too. */
#define LINKS_REDIS_URL(at)                                                                        \
    LINKS_TEXT(at, redis_url, 0, "", REDIS_URL_ACCEPTS, "Redis, instead of redis_host and port")
#define LINKS_REDIS_PASSWORD_FILE(at)                                                              \
    LINKS_TEXT(at, redis_password_file, 0, "", "a file of mode 0600 or 0640, or empty",            \
               "Redis's password is its first line")
#define LINKS_REDIS_CA_FILE(at)                                                                    \
    LINKS_TEXT(at, redis_ca_file, 0, "", "a PEM file, or empty",                                   \
               "the CAs that sign Redis's certificate; empty: the system's")
#define LINKS_REDIS_CERT_FILE(at)                                                                  \
    LINKS_TEXT(at, redis_cert_file, 0, "", "a PEM file, or empty", "the client's certificate")
#define LINKS_REDIS_KEY_FILE(at)                                                                   \
    LINKS_TEXT(at, redis_key_file, 0, "", "a PEM file of mode 0600 or 0640, or empty",             \
               "the key of the client's certificate")
#define LINKS_REDIS_SERVER_NAME(at)                                                                \
    LINKS_TEXT(at, redis_server_name, 0, "", "a name or address, or empty",                        \
               "name in Redis's certificate; empty: the host")
#define LINKS_REDIS_PREFIX(at)                                                                     \
    LINKS_TEXT(at, redis_prefix, 0, REDIS_KEY_PREFIX, REDIS_KEY_PREFIX_ACCEPTS,                    \
               "prefix of every key in Redis")

/* Their rows in an option table. `at` is the offset of the struct links in the settings; `who` is
 * the default user. */
#define LINKS_OPTIONS(at, who)                                                                     \
    LINKS_TEXT(at, services_file, 1, NULL, "a file of mode 0600 or 0640",                          \
               "file that holds the user's secret"),                                               \
        LINKS_TEXT(at, user, 0, who, "a name in the services file", "user name at the broker"),    \
        LINKS_TEXT(at, mqtt_host, 0, "127.0.0.1", "a name or address", "the broker"),              \
        LINKS_PORT(at, mqtt_port, "1883", "the broker's port"),                                    \
        LINKS_TEXT(at, redis_host, 0, LINKS_REDIS_HOST, "a name, an address, or a socket's path",  \
                   "Redis"),                                                                       \
        LINKS_PORT(at, redis_port, LINKS_REDIS_PORT, "Redis's port"), LINKS_REDIS_URL(at),         \
        LINKS_REDIS_PASSWORD_FILE(at), LINKS_REDIS_CA_FILE(at), LINKS_REDIS_CERT_FILE(at),         \
        LINKS_REDIS_KEY_FILE(at), LINKS_REDIS_SERVER_NAME(at), LINKS_REDIS_PREFIX(at),             \
        LINKS_TEXT(at, topic_prefix, 0, "", ARTICLE_PREFIX_ACCEPTS, "prefix of every topic")

/* The checks that a table cannot express. The arguments are those that option_parse has accepted.
 * Returns 0, or -1 with a sentence that names the option. Pure. */
int links_check(const struct links *links, int argc, char **argv, struct error *error);

/* Reads the secrets of the user, who must have `role`, and of Redis. Returns 0, or -1 with a
 * sentence that names the option. After a failure, and after links_wipe, no secret stays in
 * memory. */
int links_secrets_load(struct links_secrets *secrets, const struct links *links, enum role role,
                       struct error *error);
/* The secret of Redis only, for programs that do not connect to the broker. */
int links_redis_load(struct links_secrets *secrets, const struct links *links, struct error *error);
void links_wipe(struct links_secrets *secrets);

#endif

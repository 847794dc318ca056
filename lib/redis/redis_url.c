/* The text is cut from the left: scheme, user, then the list of servers up to the first slash, then
 * what follows it. Each part has its own function, which says what is wrong with that part. */
#include "redis/redis_url.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define REDIS_PORT 6379
#define SENTINEL_PORT 26379

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* A part of the text. */
struct part {
    const char *at;
    size_t bytes;
};

static bool consists_of(struct part part, const char *accepted)
{
    for (size_t i = 0; i < part.bytes; i++)
        if (part.at[i] == '\0' || strchr(accepted, part.at[i]) == NULL)
            return false;
    return true;
}

/* Copies it if it is not empty, fits, and has only accepted characters. */
static bool redis_url_copied(char *out, size_t out_bytes, struct part part, const char *accepted)
{
    if (part.bytes == 0 || part.bytes >= out_bytes || !consists_of(part, accepted))
        return false;
    memcpy(out, part.at, part.bytes);
    out[part.bytes] = '\0';
    return true;
}

/* -1 unless it is a number from min to max. */
static int number(struct part part, int min, int max)
{
    int64_t value = 0;
    if (part.bytes == 0 || part.bytes > 7 || !consists_of(part, "0123456789"))
        return -1;
    for (size_t i = 0; i < part.bytes; i++)
        value = value * 10 + (part.at[i] - '0');
    return value < min || value > max ? -1 : (int)value;
}

static int take_db(struct redis_url *url, struct part part, struct error *error)
{
    url->db = number(part, 0, REDIS_URL_DB_MAX);
    if (url->db < 0)
        return error_set(error, "the database is not a number from 0 to %d", REDIS_URL_DB_MAX);
    return 0;
}

/* --- the user --- */

/* Takes `user@` from the front of the rest. The last @ counts: a password may have others. */
static int take_user(struct redis_url *url, const char **rest, struct error *error)
{
    const char *at = strrchr(*rest, '@');
    if (at == NULL || **rest == '/') /* a path may have an @ */
        return 0;
    const struct part user = {*rest, (size_t)(at - *rest)};
    if (memchr(user.at, ':', user.bytes) != NULL)
        return error_set(error, "it has a password: write it into the file of redis_password_file");
    if (!redis_url_copied(url->user, sizeof url->user, user, LETTERS "._~-+"))
        return error_set(error, "the user is not 1 to %d letters, digits, ., _, ~, + and -",
                         REDIS_URL_USER_BYTES - 1);
    *rest = at + 1;
    return 0;
}

/* --- the servers --- */

static int bad_seed(struct part part, struct error *error)
{
    return error_set(error, "%.*s is not a host, host:port or [address]:port",
                     (int)(part.bytes > 100 ? 100 : part.bytes), part.at);
}

static int take_seed(struct redis_url *url, struct part part, int port, struct error *error)
{
    struct redis_url_seed *seed = &url->seeds[url->seeds_n];
    struct part host = part, number_part = {NULL, 0};
    const bool brackets = part.bytes > 0 && part.at[0] == '[';
    const char *end = brackets ? memchr(part.at, ']', part.bytes) : NULL;
    if (brackets && end == NULL)
        return bad_seed(part, error);
    const char *from = brackets ? end + 1 : part.at;
    const size_t left = part.bytes - (size_t)(from - part.at);
    const char *colon = memchr(from, ':', left);
    if (brackets)
        host = (struct part){part.at + 1, (size_t)(end - part.at) - 1};
    else if (colon != NULL)
        host.bytes = (size_t)(colon - part.at);
    if (colon != NULL)
        number_part = (struct part){colon + 1, part.bytes - (size_t)(colon + 1 - part.at)};
    if ((brackets && left > 0 && *from != ':') ||
        !redis_url_copied(seed->host, sizeof seed->host, host,
                          brackets ? "0123456789abcdefABCDEF:.%" LETTERS : LETTERS "._-"))
        return bad_seed(part, error);
    seed->port = colon == NULL ? port : number(number_part, 1, 65535);
    if (seed->port < 0)
        return error_set(error, "the port of %.100s is not a number from 1 to 65535", seed->host);
    url->seeds_n++;
    return 0;
}

static int take_seeds(struct redis_url *url, struct part list, int port, struct error *error)
{
    for (;;) {
        const char *comma = list.bytes > 0 ? memchr(list.at, ',', list.bytes) : NULL;
        struct part one = {list.at, comma != NULL ? (size_t)(comma - list.at) : list.bytes};
        if (url->seeds_n == REDIS_URL_SEEDS_MAX)
            return error_set(error, "it names more than %d servers", REDIS_URL_SEEDS_MAX);
        if (take_seed(url, one, port, error) != 0)
            return -1;
        if (comma == NULL)
            return 0;
        list = (struct part){comma + 1, list.bytes - one.bytes - 1};
    }
}

/* --- each kind --- */

static int parse_path(struct redis_url *url, const char *rest, struct error *error)
{
    size_t bytes = strcspn(rest, "?");
    if (*rest != '/' || bytes < 2 || bytes >= sizeof url->seeds[0].host)
        return error_set(error, "unix:// is followed by the path of a socket, from / on");
    memcpy(url->seeds[0].host, rest, bytes);
    url->seeds_n = 1;
    rest += bytes;
    if (*rest == '\0')
        return 0;
    if (strncmp(rest, "?db=", 4) != 0)
        return error_set(error, "only ?db=NUMBER may follow the path");
    return take_db(url, (struct part){rest + 4, strlen(rest + 4)}, error);
}

static int parse_servers(struct redis_url *url, const char *rest, struct error *error)
{
    size_t bytes = strcspn(rest, "/");
    if (take_seeds(url, (struct part){rest, bytes}, REDIS_PORT, error) != 0)
        return -1;
    rest += bytes;
    if (*rest == '\0' || rest[1] == '\0')
        return 0;
    return take_db(url, (struct part){rest + 1, strlen(rest + 1)}, error);
}

static int parse_sentinels(struct redis_url *url, const char *rest, struct error *error)
{
    size_t bytes = strcspn(rest, "/");
    url->kind = REDIS_URL_SENTINEL;
    if (take_seeds(url, (struct part){rest, bytes}, SENTINEL_PORT, error) != 0)
        return -1;
    rest += bytes + (rest[bytes] == '/');
    struct part name = {rest, strcspn(rest, "/")};
    if (!redis_url_copied(url->name, sizeof url->name, name, LETTERS "._-"))
        return error_set(error,
                         "after the Sentinels, / and the name of the primary must follow: 1 "
                         "to %d letters, digits, ., _ and -",
                         REDIS_URL_NAME_BYTES - 1);
    rest += name.bytes;
    if (*rest == '\0' || rest[1] == '\0')
        return 0;
    return take_db(url, (struct part){rest + 1, strlen(rest + 1)}, error);
}

int redis_url_parse(struct redis_url *url, const char *text, struct error *error)
{
    static const struct {
        const char *scheme;
        bool tls;
        int (*parse)(struct redis_url *url, const char *rest, struct error *error);
    } kinds[] = {
        {"redis://", false, parse_servers},
        {"rediss://", true, parse_servers},
        {"unix://", false, parse_path},
        {"redis+sentinel://", false, parse_sentinels},
        {"rediss+sentinel://", true, parse_sentinels},
    };
    memset(url, 0, sizeof *url);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t bytes = strlen(kinds[i].scheme);
        if (strncmp(text, kinds[i].scheme, bytes) != 0)
            continue;
        const char *rest = text + bytes;
        url->tls = kinds[i].tls;
        return take_user(url, &rest, error) != 0 ? -1 : kinds[i].parse(url, rest, error);
    }
    return error_set(error, "it does not begin with redis://, rediss://, unix://, "
                            "redis+sentinel:// or rediss+sentinel://");
}

void redis_url_of_host(struct redis_url *url, const char *host, int port)
{
    memset(url, 0, sizeof *url);
    snprintf(url->seeds[0].host, sizeof url->seeds[0].host, "%s", host);
    url->seeds[0].port = host[0] == '/' ? 0 : port;
    url->seeds_n = 1;
}

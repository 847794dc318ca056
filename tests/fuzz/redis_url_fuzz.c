/* redis_url_parse: what it accepts is within its bounds, and says the same when written again. */
#include "fuzz.h"
#include "redis/redis_url.h"

static void check_text(const char *text, size_t bytes, bool empty)
{
    FUZZ_CHECK(memchr(text, 0, bytes) != NULL && (text[0] == '\0') == empty);
}

static void check_bounds(const struct redis_url *url)
{
    FUZZ_CHECK(url->seeds_n >= 1 && url->seeds_n <= REDIS_URL_SEEDS_MAX);
    FUZZ_CHECK(url->db >= 0 && url->db <= REDIS_URL_DB_MAX);
    FUZZ_CHECK(memchr(url->user, 0, sizeof url->user) != NULL && strchr(url->user, ':') == NULL);
    check_text(url->name, sizeof url->name, url->kind != REDIS_URL_SENTINEL);
    for (unsigned i = 0; i < url->seeds_n; i++) {
        const struct redis_url_seed *seed = &url->seeds[i];
        check_text(seed->host, sizeof seed->host, false);
        if (seed->host[0] == '/')
            FUZZ_CHECK(url->seeds_n == 1 && seed->port == 0 && !url->tls);
        else
            FUZZ_CHECK(seed->port >= 1 && seed->port <= 65535);
    }
}

static void check_again(const struct redis_url *url)
{
    static char text[REDIS_URL_SEEDS_MAX * (REDIS_URL_HOST_BYTES + 10) + 300];
    const bool path = url->seeds[0].host[0] == '/', sentinel = url->kind == REDIS_URL_SENTINEL;
    struct redis_url again;
    size_t n = (size_t)sprintf(text, "%s%s%s",
                               path       ? "unix://"
                               : sentinel ? url->tls ? "rediss+sentinel://" : "redis+sentinel://"
                               : url->tls ? "rediss://"
                                          : "redis://",
                               url->user, url->user[0] != '\0' ? "@" : "");
    for (unsigned i = 0; i < url->seeds_n; i++) {
        const struct redis_url_seed *seed = &url->seeds[i];
        const bool brackets = strpbrk(seed->host, ":%") != NULL;
        n += path ? (size_t)sprintf(text + n, "%s", seed->host)
                  : (size_t)sprintf(text + n, "%s%s%s%s:%d", i > 0 ? "," : "", brackets ? "[" : "",
                                    seed->host, brackets ? "]" : "", seed->port);
    }
    if (sentinel)
        n += (size_t)sprintf(text + n, "/%s", url->name);
    (void)sprintf(text + n, path ? "?db=%d" : "/%d", url->db);
    FUZZ_CHECK(redis_url_parse(&again, text, NULL) == 0);
    FUZZ_CHECK(memcmp(&again, url, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct redis_url url;
    struct error error = {0};
    char *text = malloc(bytes + 1);
    if (text == NULL)
        abort();
    if (bytes > 0)
        memcpy(text, data, bytes);
    text[bytes] = '\0';
    int rc = redis_url_parse(&url, text, &error);
    FUZZ_CHECK((rc == 0) == (error.text[0] == '\0'));
    if (rc == 0) {
        check_bounds(&url);
        check_again(&url);
    }
    free(text);
    return 0;
}

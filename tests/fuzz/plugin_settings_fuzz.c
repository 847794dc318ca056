/* The plugin's own options, lines of `name value` as in mosquitto.conf: kinds, identities and
 * prefix are parsed further. */
#include "core/article.h"
#include "fuzz.h"
#include "settings.h"

#define LINES_MAX 32

static void check(const struct settings *settings)
{
    char list[KIND_MAX * (KIND_NAME_MAX_BYTES + 1) + 1] = "";
    FUZZ_CHECK(settings->spool[0] != '\0' && settings->services_file[0] != '\0' &&
               settings->key_file[0] != '\0');
    FUZZ_CHECK(settings->shards >= 1 && settings->shards <= 64);
    FUZZ_CHECK(settings->ring_bytes >= 1048576 && settings->ring_bytes <= 1073741824 &&
               settings->ring_bytes % 4096 == 0);
    FUZZ_CHECK(settings->by_token || settings->by_username || settings->by_client_id);
    FUZZ_CHECK(settings->by_token == (settings->token_keys[0] != '\0'));
    FUZZ_CHECK(article_prefix_valid(settings->topic_prefix));
    FUZZ_CHECK(settings->kind_table.n >= 1 && settings->kind_table.n <= KIND_MAX);
    for (int i = 1; i <= settings->kind_table.n; i++) {
        const char *name = settings->kind_table.name[i];
        FUZZ_CHECK(kind_name_valid(name, strlen(name)) &&
                   kind_find(&settings->kind_table, name, strlen(name)) == i);
        strcat(strcat(list, i > 1 ? "," : ""), name);
    }
    FUZZ_CHECK(strcmp(list, settings->kinds) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    const char *names[LINES_MAX + 3] = {"spool", "services_file", "key_file"};
    const char *values[LINES_MAX + 3] = {"a", "b", "c"};
    char *lines[LINES_MAX];
    struct error error = {0};
    size_t n = 0;
    struct settings settings;
    while (n < LINES_MAX && (lines[n] = fuzz_line(&in)) != NULL) {
        char *value = strchr(lines[n], ' ');
        if (value != NULL)
            *value++ = '\0';
        names[n + 3] = lines[n];
        values[n + 3] = value;
        n++;
    }
    int result = settings_load(&settings, names, values, n + 3, &error);
    FUZZ_CHECK(result == 0 || (result == -1 && error.text[0] != '\0'));
    if (result == 0)
        check(&settings);
    while (n > 0)
        free(lines[--n]);
    return 0;
}

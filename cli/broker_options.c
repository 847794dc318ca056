/* Reads the lines `plugin_opt_<name> <value>` that edges must have alike. Everything else in the
 * configuration is the broker's own. */
#include "broker_options.h"

#include "core/article.h"
#include "core/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES (1024 * 1024)
#define PREFIX "plugin_opt_"
#define SHARDS_MAX 64

static int take_text(char out[OPTION_TEXT_MAX_BYTES + 1], const char *name, const char *value,
                     size_t bytes, struct error *error)
{
    if (bytes > OPTION_TEXT_MAX_BYTES)
        return error_set(error, PREFIX "%s: it has more than %d bytes", name,
                         OPTION_TEXT_MAX_BYTES);
    memcpy(out, value, bytes);
    out[bytes] = '\0';
    return 0;
}

static int take_shards(struct broker_options *options, const char *text, struct error *error)
{
    char *end;
    unsigned long shards = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || shards < 1 || shards > SHARDS_MAX)
        return error_set(error, PREFIX "shards: %.40s is not 1 to %d", text, SHARDS_MAX);
    options->shards = (uint32_t)shards;
    return 0;
}

static int broker_options_take(struct broker_options *options, const char *name, size_t name_bytes,
                               const char *value, size_t bytes, struct error *error)
{
    char text[OPTION_TEXT_MAX_BYTES + 1];
    struct error why;
    static const char *const names[] = {"key_file", "shards", "kinds", "topic_prefix"};
    size_t i = 0;
    while (i < 4 && (strlen(names[i]) != name_bytes || strncmp(name, names[i], name_bytes) != 0))
        i++;
    if (i == 4)
        return 0;
    if (take_text(text, names[i], value, bytes, error) != 0)
        return -1;
    if (i == 0)
        memcpy(options->key_file, text, bytes + 1);
    else if (i == 1)
        return take_shards(options, text, error);
    else if (i == 2 && kind_table_parse(&options->kinds, text, &why) != 0)
        return error_set(error, PREFIX "kinds: %s", why.text);
    else if (i == 3 && !article_prefix_valid(text))
        return error_set(error, PREFIX "topic_prefix: %.80s is not %s", text,
                         ARTICLE_PREFIX_ACCEPTS);
    else if (i == 3)
        memcpy(options->topic_prefix, text, bytes + 1);
    return 0;
}

int broker_options_parse(struct broker_options *options, const char *text, struct error *error)
{
    memset(options, 0, sizeof *options);
    options->shards = BROKER_OPTIONS_SHARDS;
    if (kind_table_parse(&options->kinds, BROKER_OPTIONS_KINDS, error) != 0)
        return -1;
    while (*text != '\0') {
        size_t line_bytes = strcspn(text, "\r\n");
        const char *at = text + strspn(text, " \t"), *end = text + line_bytes;
        if (strncmp(at, PREFIX, strlen(PREFIX)) == 0) {
            const char *name = at + strlen(PREFIX);
            size_t name_bytes = strcspn(name, " \t\r\n");
            const char *value = name + name_bytes + strspn(name + name_bytes, " \t");
            while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
            if (broker_options_take(options, name, name_bytes, value,
                                    value < end ? (size_t)(end - value) : 0, error) != 0)
                return -1;
        }
        text += line_bytes;
        text += strspn(text, "\r\n");
    }
    if (options->key_file[0] == '\0')
        return error_set(error, "it has no line " PREFIX "key_file");
    return 0;
}

int broker_options_load(struct broker_options *options, const char *path, struct error *error)
{
    struct error why;
    int result = -1;
    FILE *file = fopen(path, "re");
    char *text = malloc(FILE_MAX_BYTES + 1);
    if (file == NULL || text == NULL) {
        error_set(error, "option broker_config: %s: %s", path,
                  file == NULL ? strerror(errno) : "no memory");
        goto out;
    }
    size_t bytes = fread(text, 1, FILE_MAX_BYTES + 1, file);
    if (ferror(file) != 0 || bytes > FILE_MAX_BYTES) {
        error_set(error, "option broker_config: %s: it %s", path,
                  bytes > FILE_MAX_BYTES ? "has more than 1 MiB" : "cannot be read");
        goto out;
    }
    text[bytes] = '\0';
    result = broker_options_parse(options, text, &why);
    if (result != 0)
        error_set(error, "option broker_config: %s: %s", path, why.text);
out:
    free(text);
    if (file != NULL)
        fclose(file);
    return result;
}

/* Collects the lists on ops/quiet, and decides when the next one is due. */
#include "quiet.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void quiet_add(struct quiet *quiet, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void quiet_add(struct quiet *quiet, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n =
        vsnprintf(quiet->json + quiet->bytes, sizeof quiet->json - quiet->bytes, format, arguments);
    va_end(arguments);
    if (n > 0)
        quiet->bytes += (size_t)n;
}

static void add_article(struct quiet *quiet, const struct registry_quiet *one)
{
    quiet_add(quiet, "%s{\"article\":\"%.*s\",\"readers\":[", quiet->n > 0 ? "," : "",
              (int)one->article_bytes, one->article);
    for (int i = 0; i < one->readers; i++)
        quiet_add(quiet, "%s\"%08" PRIx32 "\"", i > 0 ? "," : "", one->reader[i]);
    quiet_add(quiet, "]}");
    quiet->n++;
}

bool quiet_look(struct quiet *quiet, struct registry *registry, uint64_t forget_s, uint64_t now_ms,
                uint64_t unix_ms)
{
    uint32_t looks = QUIET_LOOKS;
    struct registry_quiet one;
    enum registry_search found = REGISTRY_FOUND;

    if (now_ms < quiet->next_ms)
        return false;
    if (quiet->n == 0) {
        quiet->bytes = 0;
        quiet_add(quiet, "{\"quiet_s\":%" PRIu64 ",\"articles\":[", forget_s);
    }
    while (quiet->n < QUIET_LIST_MAX &&
           (found = registry_next_quiet(registry, unix_ms, &looks, &one)) == REGISTRY_FOUND)
        add_article(quiet, &one);
    if (quiet->n == 0 || found == REGISTRY_LATER)
        return false;
    quiet_add(quiet, "]}");
    quiet->n = 0;
    quiet->next_ms = now_ms + QUIET_SPACE_MS;
    return true;
}

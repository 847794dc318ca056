/* article_valid and article_prefix_valid against a regular expression of INTERFACES.md 1. */
#include "core/article.h"
#include "fuzz.h"

#include <regex.h>

#define LEVEL "[A-Za-z0-9%][A-Za-z0-9._~%-]*"

static regex_t form;

static bool expected(const char *id, size_t bytes)
{
    return bytes <= ARTICLE_MAX_BYTES && strlen(id) == bytes && regexec(&form, id, 0, NULL, 0) == 0;
}

static void check_prefix(const char *prefix)
{
    size_t bytes = strlen(prefix);
    char levels[ARTICLE_PREFIX_MAX_BYTES + 1] = "";
    bool want = bytes == 0;
    if (bytes > 0 && bytes <= ARTICLE_PREFIX_MAX_BYTES && prefix[bytes - 1] == '/') {
        memcpy(levels, prefix, bytes - 1);
        want = expected(levels, bytes - 1);
    }
    FUZZ_CHECK(article_prefix_valid(prefix) == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static bool ready;
    if (!ready && regcomp(&form, "^" LEVEL "(/" LEVEL "){0,7}$", REG_EXTENDED | REG_NOSUB) != 0)
        abort();
    ready = true;

    char *text = malloc(bytes + 1);
    if (text == NULL)
        abort();
    if (bytes > 0)
        memcpy(text, data, bytes);
    text[bytes] = '\0';
    bool valid = article_valid((const char *)data, bytes);
    FUZZ_CHECK(valid == expected(text, bytes));
    if (valid) {
        FUZZ_CHECK(strpbrk(text, "+#$\"\\") == NULL);
        for (uint32_t shards = 1; shards <= 64; shards *= 4)
            FUZZ_CHECK(article_shard(text, bytes, shards) < shards);
    }
    check_prefix(text);
    free(text);
    return 0;
}

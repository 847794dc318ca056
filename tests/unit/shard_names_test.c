#include "unit.h"

#include "core/shard_names.h"

static void names(const char *pattern, const char *want)
{
    char out[SHARD_NAMES_BYTES];
    bool of[64] = {false};
    unsigned n = (unsigned)strlen(pattern);
    for (unsigned i = 0; i < n; i++)
        of[i] = pattern[i] == 'x';
    shard_names_write(out, of, n);
    require(strcmp(out, want) == 0, "%s: %s, not %s", pattern, out, want);
}

static void test_names(void **state)
{
    (void)state;
    names("x", "shard 0");
    names("...x", "shard 3");
    names(".xx..xx.", "shards 1, 2, 5, 6 of 8");
    names(".xxx..x.", "shards 1-3, 6 of 8");
    names("xxxxxxxx", "shards 0-7 of 8");
    names("x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.", "32 of 64 shards");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit.h"

#include "json_out.h"

static void test_broken_utf8_is_mended(void **state)
{
    static const struct {
        const char *from, *to;
    } of[] = {
        {"a\xff", "a?"},
        {"\xe2\x82", "??"},
        {"\xe2\x82\xac\xc3", "\xe2\x82\xac?"},
        {"\xed\xa0\x80\n", "???\\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(of); i++) {
        char *said = NULL, wanted[64];
        size_t bytes;
        FILE *out = open_memstream(&said, &bytes);
        cJSON *object = cJSON_CreateObject();
        assert_true(out != NULL && object != NULL);
        cJSON_AddStringToObject(object, "x", of[i].from);
        json_out_print(object, out);
        assert_int_equal(fclose(out), 0);
        (void)snprintf(wanted, sizeof wanted, "{\"x\":\"%s\"}\n", of[i].to);
        assert_string_equal(said, wanted);
        free(said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_utf8_is_mended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

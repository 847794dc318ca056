#include "unit.h"

#include "core/scan.h"

#define INNER_MAX_BYTES 40

/* xorshift64 */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Mostly plain bytes, so that long runs of them occur, and the bytes beside each limit. */
static unsigned char draw_byte(uint64_t *state)
{
    static const unsigned char edges[] = {0,    1,   0x1f, 0x20, 0x21, '"',  '#',  '[',
                                          '\\', ']', 0x7e, 0x7f, 0x80, 0xbf, 0xc3, 0xff};
    uint64_t random = draw(state);
    if (random % 16 < 14)
        return (unsigned char)('a' + random / 16 % 26);
    return random % 16 == 14 ? edges[random / 16 % sizeof edges] : (unsigned char)(random / 16);
}

struct outcome {
    bool good;
    size_t left;
    struct scan_text text;
    char bytes[INNER_MAX_BYTES + 1];
};

/* Scans a copy of exactly the input's size, so that reading or writing beyond is found out. */
static void scan(const unsigned char *input, size_t bytes, size_t max, struct outcome *out)
{
    unsigned char *exact = malloc(bytes);
    char *text = malloc(max > 0 ? max : 1);
    assert_non_null(exact);
    assert_non_null(text);
    memcpy(exact, input, bytes);
    struct scan in = {exact, exact + bytes};
    out->text = (struct scan_text){text, 0, max};
    out->good = scan_string(&in, &out->text);
    out->left = (size_t)(in.end - in.at);
    assert_true(out->text.n <= max);
    memcpy(out->bytes, text, out->text.n);
    free(exact);
    free(text);
}

/* A string that begins with an escape is taken byte by byte, any other eight bytes at a time. */
static void eight_at_a_time_equals_byte_by_byte(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    size_t good = 0;
    for (int round = 0; round < 300000; round++) {
        unsigned char wide[INNER_MAX_BYTES + 1] = {'"'};
        unsigned char slow[INNER_MAX_BYTES + 3] = {'"', '\\', '/'};
        struct outcome one, other;
        size_t bytes = draw(&random) % (INNER_MAX_BYTES + 1);
        size_t max = draw(&random) % INNER_MAX_BYTES;
        for (size_t i = 0; i < bytes; i++)
            wide[1 + i] = slow[3 + i] = draw_byte(&random);
        if (bytes > 0 && draw(&random) % 2 == 0)
            wide[bytes] = slow[2 + bytes] = '"';
        scan(wide, bytes + 1, max, &one);
        scan(slow, bytes + 3, max + 1, &other);
        assert_int_equal(one.good, other.good);
        if (!one.good)
            continue;
        good++;
        assert_int_equal(one.left, other.left);
        assert_int_equal(one.text.n + 1, other.text.n);
        assert_memory_equal(one.bytes, other.bytes + 1, one.text.n);
    }
    assert_true(good > 10000);
}

/* Each byte at each place of sixteen. */
static void finds_each_byte_at_each_place(void **state)
{
    (void)state;
    for (size_t place = 1; place <= 16; place++)
        for (unsigned value = 0; value < 256; value++) {
            unsigned char input[18] = "\"aaaaaaaaaaaaaaaa\"";
            struct outcome out;
            input[place] = (unsigned char)value;
            scan(input, sizeof input, 16, &out);
            bool plain = value >= 0x20 && value < 0x80 && value != '"' && value != '\\';
            if (plain || value == '"') {
                assert_true(out.good);
                assert_int_equal(out.text.n, plain ? 16 : place - 1);
            } else if (value != '\\') {
                assert_false(out.good);
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_at_a_time_equals_byte_by_byte),
        cmocka_unit_test(finds_each_byte_at_each_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

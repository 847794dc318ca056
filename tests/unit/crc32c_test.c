#include "unit.h"

#include "core/crc32c.h"

typedef uint32_t (*crc_fn)(uint32_t crc, const void *data, size_t bytes);

static const crc_fn variants[] = {crc32c, crc32c_by_table};

/* Bit by bit, from the definition. */
static uint32_t slowly(uint32_t crc, const unsigned char *data, size_t bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1u ? 0x82f63b78u : 0u);
    }
    return ~crc;
}

/* RFC 3720 B.4, and the check value of the CRC catalogues. */
static void knows_the_published(void **state)
{
    unsigned char zeros[32] = {0}, ones[32], up[32], down[32];
    (void)state;
    for (unsigned char i = 0; i < 32; i++) {
        ones[i] = 0xff;
        up[i] = i;
        down[i] = (unsigned char)(31 - i);
    }
    for (size_t v = 0; v < COUNT_OF(variants); v++) {
        assert_int_equal(variants[v](0, "123456789", 9), 0xe3069283);
        assert_int_equal(variants[v](0, zeros, 32), 0x8a9136aa);
        assert_int_equal(variants[v](0, ones, 32), 0x62a8ab43);
        assert_int_equal(variants[v](0, up, 32), 0x46dd794e);
        assert_int_equal(variants[v](0, down, 32), 0x113fdb5c);
        assert_int_equal(variants[v](0, "", 0), 0);
        assert_int_equal(variants[v](0x12345678, "", 0), 0x12345678);
    }
}

static void agrees_at_every_length_and_alignment(void **state)
{
    unsigned char data[600];
    uint64_t random = 1;
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)unit_random(&random);
    for (size_t from = 0; from < 9; from++)
        for (size_t bytes = 0; bytes <= 512; bytes++) {
            uint32_t begin = (uint32_t)unit_random(&random);
            uint32_t expected = slowly(begin, data + from, bytes);
            for (size_t v = 0; v < COUNT_OF(variants); v++)
                require(variants[v](begin, data + from, bytes) == expected,
                        "variant %zu from %zu bytes %zu", v, from, bytes);
        }
}

/* The table is spread out from its powers of two: every entry of every slice takes part here. */
static void knows_every_byte_at_every_place(void **state)
{
    (void)state;
    for (size_t place = 0; place < 8; place++)
        for (int byte = 0; byte < 256; byte++) {
            unsigned char data[8] = {0};
            data[place] = (unsigned char)byte;
            assert_int_equal(crc32c_by_table(0, data, 8), slowly(0, data, 8));
        }
}

static void goes_on_where_it_stopped(void **state)
{
    static const char text[] = "the CRC of the text so far, followed by the rest";
    size_t bytes = sizeof text - 1;
    (void)state;
    for (size_t cut = 0; cut <= bytes; cut++)
        for (size_t v = 0; v < COUNT_OF(variants); v++)
            assert_int_equal(variants[v](variants[v](0, text, cut), text + cut, bytes - cut),
                             slowly(0, (const unsigned char *)text, bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_published),
        cmocka_unit_test(agrees_at_every_length_and_alignment),
        cmocka_unit_test(knows_every_byte_at_every_place),
        cmocka_unit_test(goes_on_where_it_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

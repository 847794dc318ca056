/* Helpers shared by the unit tests. Include it first: cmocka's header needs those before it. */
#ifndef TALLY_TESTS_UNIT_H
#define TALLY_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* For parsers of options: no variables, and no file of the machine that the test runs on. */
#define NO_ENVIRONMENT ((char *const[]){(char *)(uintptr_t) "TALLY_CONFIG=", NULL})

/* Fails the test with a sentence, when a table's row or a seed has to be named. */
#define require(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error(__VA_ARGS__);                                                              \
            print_error(": %s\n", #condition);                                                     \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* Both ends included. cmocka's own assert_in_range is deprecated from 2.0 on (Debian 14), and what
 * follows it is not in 1.1. */
#define require_between(value, low, high)                                                          \
    require((intmax_t)(value) >= (intmax_t)(low) && (intmax_t)(value) <= (intmax_t)(high), "%jd",  \
            (intmax_t)(value))

/* Decodes hex digits. Returns the bytes. */
static inline size_t unit_hex(const char *digits, unsigned char *out)
{
    size_t n = strlen(digits) / 2;
    for (size_t i = 0; i < n; i++) {
        char pair[3] = {digits[2 * i], digits[2 * i + 1], '\0'};
        out[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return n;
}

/* A generator whose every seed is a test case that can be run again (splitmix64). */
static inline uint64_t unit_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif

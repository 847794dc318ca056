/* One sentence that describes an error. The caller owns it, usually on its stack, and passes it to
 * the function that may fail. Pure; any thread, one at a time for each error. */
#ifndef TALLY_CORE_ERROR_H
#define TALLY_CORE_ERROR_H

#include <stddef.h>

#define ERROR_MAX_BYTES 2560 /* with the NUL; the longest names every option of a program */

/* {0} is the empty sentence: nothing failed yet. */
struct error {
    char text[ERROR_MAX_BYTES];
};

/* Half of error_set, which is what to call. Returns 0. */
int error_write(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The -1 that a failing function returns. It is inline so that compilers and analysers see it. */
static inline int error_minus_one(int written)
{
    (void)written;
    return -1;
}

/* Sets the sentence, formatted as printf does and cut to ERROR_MAX_BYTES - 1 bytes. Returns -1, the
 * result of a failing function: `return error_set(error, "…", …);`. `error` may be NULL: the caller
 * does not want the sentence. The arguments must not point into `error`. */
#define error_set(...) error_minus_one(error_write(__VA_ARGS__))

/* Copies the sentence to `out`, cut to `out_bytes` with the NUL (0: writes nothing): for a sentence
 * that is kept, or that a format bounds. */
void error_copy(const struct error *error, char *out, size_t out_bytes);

#endif

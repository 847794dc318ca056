/* Writes one sentence that describes an error into the caller's buffer. Pure; any thread. */
#ifndef TALLY_CORE_ERROR_H
#define TALLY_CORE_ERROR_H

#include <stddef.h>

/* Writes the sentence, truncated to `error_bytes` (0: writes nothing). Returns 0. */
int error_write(char *error, size_t error_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The -1 that a failing function returns. It is inline so that compilers and analysers see it. */
static inline int error_minus_one(int written)
{
    (void)written;
    return -1;
}

/* error_write, as a failing function's result: `return error_say(error, error_bytes, "…", …);` */
#define error_say(...) error_minus_one(error_write(__VA_ARGS__))

#endif

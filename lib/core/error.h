/* One sentence that says what is wrong, in the caller's buffer. Pure; any thread. */
#ifndef TALLY_CORE_ERROR_H
#define TALLY_CORE_ERROR_H

#include <stddef.h>

/* Writes the sentence, cut at `error_bytes` (0: nothing is written). Returns -1, so that a failing
 * function can end with it. */
int error_say(char *error, size_t error_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

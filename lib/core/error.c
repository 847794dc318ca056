/* How a failing function says what failed. Every error has the same room, so no caller decides how
 * long a sentence may be. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_write(struct error *error, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return 0;
}

void error_copy(const struct error *error, char *out, size_t out_bytes)
{
    if (out_bytes == 0)
        return;
    size_t bytes = strnlen(error->text, sizeof error->text - 1);
    if (bytes > out_bytes - 1)
        bytes = out_bytes - 1;
    memcpy(out, error->text, bytes);
    out[bytes] = '\0';
}

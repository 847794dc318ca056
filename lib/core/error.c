#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_write(char *error, size_t error_bytes, const char *format, ...)
{
    if (error_bytes > 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(error, error_bytes, format, arguments);
        va_end(arguments);
    }
    return 0;
}

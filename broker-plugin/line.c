#include "line.h"

#include <stdbool.h>
#include <stdio.h>

/* Room for a doubled character, the closing quote, a blank and the NUL. */
#define TAIL_BYTES 5

static size_t add(char *out, size_t used, const char *text, bool quoted)
{
    for (; *text != '\0' && used < LINE_MAX_BYTES - TAIL_BYTES; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == 0x7f)
            c = '?';
        else if (c == '"' && quoted)
            c = '\'';
        out[used++] = (char)c;
        if (c == '%')
            out[used++] = '%';
    }
    return used;
}

void line_format(char out[LINE_MAX_BYTES], const char *level, const char *msg, const char *pairs)
{
    int head = snprintf(out, LINE_MAX_BYTES, "level=%s program=tally-broker-plugin msg=\"", level);
    size_t used = add(out, (size_t)head, msg, true);
    out[used++] = '"';
    if (pairs[0] != '\0') {
        out[used++] = ' ';
        used = add(out, used, pairs, false);
    }
    out[used] = '\0';
}

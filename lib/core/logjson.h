/* A log line as one JSON object, in ASCII: {"msg":"up","port":1883}. Every line is valid JSON, and
 * no value can forge a member or a line. Pure; any thread. */
#ifndef TALLY_CORE_LOGJSON_H
#define TALLY_CORE_LOGJSON_H

#include <stdarg.h>
#include <stddef.h>

struct logjson {
    char *text; /* the caller's; ends with a NUL after each call */
    size_t bytes, used;
};

/* Starts an object in `text`, which must have at least 64 bytes. A string that does not fit is cut
 * at a whole character, and a member of which nothing fits is left out. */
void logjson_begin(struct logjson *line, char *text, size_t bytes);

/* A member that is a string. `key` consists of letters, digits and '_'. Characters beyond ASCII
 * become \uNNNN, and bytes that are not UTF-8 become U+FFFD each. */
void logjson_text(struct logjson *line, const char *key, const char *value);

/* A member for each pair of a printf format (log_pairs.h): a number where the format prints one,
 * otherwise a string. */
void logjson_pairs(struct logjson *line, const char *format, va_list arguments);

/* Ends the object, which always has room to end. */
void logjson_end(struct logjson *line);

#endif

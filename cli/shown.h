/* Parses a published total (INTERFACES.md 2.2), or the notice that it is hidden (2.9). Pure; any
 * thread. */
#ifndef TALLY_CLI_SHOWN_H
#define TALLY_CLI_SHOWN_H

#include "audit/audit_compare.h"

#include <stddef.h>

/* Reads the JSON of this article's total into `out` (there, and understood or not). */
void shown_read(struct audit_shown *out, const char *article, const struct audit_kinds *kinds,
                const char *json, size_t bytes);

#endif

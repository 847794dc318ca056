/* base64url (RFC 4648, 5) without padding, as used in tokens and keys: each value has one form.
 * Pure; any thread. */
#ifndef TALLY_BROKER_PLUGIN_TOKEN_BASE64_H
#define TALLY_BROKER_PLUGIN_TOKEN_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Decodes the text of `text_bytes` bytes into `out`. False: it contains another character, padding,
 * or trailing bits that belong to no byte, or it decodes to more than `max_bytes`; `out` is then
 * undefined. */
bool token_base64_decode(const char *text, size_t text_bytes, void *out, size_t max_bytes,
                         size_t *bytes);

#endif

/* JSON of tokens and of key files, by jansson: strict, as what two parsers read differently is how
 * tokens are forged. One thread. */
#ifndef TALLY_BROKER_PLUGIN_TOKEN_JSON_H
#define TALLY_BROKER_PLUGIN_TOKEN_JSON_H

#include <jansson.h>
#include <stddef.h>

/* The object that `bytes` bytes are, whole: NULL where they are no UTF-8, no JSON object, where a
 * member stands there twice, or a string holds \u0000; and for no memory. The caller gives it back
 * with json_decref, which wipes it: from the first call on jansson wipes all that it frees. */
json_t *token_json_object(const void *text, size_t bytes);

/* The member's string, which is the object's, or NULL where it is none. */
const char *token_json_string(const json_t *object, const char *member);

#endif

/* JSON of tokens and of key files, by cJSON: strict, as what two parsers read differently is how
 * tokens are forged. cJSON alone accepts much that JSON does not have, and each version another
 * part of it; so the text is checked before cJSON reads it, and the tree for repeated members
 * after it. cJSON's hooks stay as they are, as the broker has the same library. One thread. */
#ifndef TALLY_BROKER_PLUGIN_TOKEN_JSON_H
#define TALLY_BROKER_PLUGIN_TOKEN_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* No more than any version of cJSON takes (63 characters where CVE-2023-26819 is not mended, 1,000
 * levels), so that all of them read the same. */
#define TOKEN_JSON_NUMBER_MAX_BYTES 63
#define TOKEN_JSON_DEPTH_MAX 64

/* The object that the `bytes` bytes are: NULL where they are not exactly one JSON object (RFC 8259,
 * white space around it) in UTF-8, an object in it has a member twice, a string or name has \u0000
 * or half a surrogate pair, a number is longer than TOKEN_JSON_NUMBER_MAX_BYTES, a whole one beyond
 * 64 bits with sign or another beyond a double, or values are nested deeper than
 * TOKEN_JSON_DEPTH_MAX; and where memory is short. The caller frees it with token_json_free. */
cJSON *token_json_object(const void *text, size_t bytes);

/* Wipes its strings and names, and frees it. NULL is fine. */
void token_json_free(cJSON *value);

/* The object's member, whose name is as it is in the text, upper and lower case; NULL where it has
 * none, or where `object` is NULL or not an object. */
const cJSON *token_json_member(const cJSON *object, const char *name);

/* The member's string, which is the object's, or NULL where it is not a string. */
const char *token_json_string(const cJSON *object, const char *name);

#endif

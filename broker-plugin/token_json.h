/* JSON of tokens and key files, by cJSON. It is strict, because text that two parsers read
 * differently lets an attacker forge tokens. cJSON accepts much that is invalid JSON, and each
 * version accepts different things. So the text is checked before cJSON reads it, and the tree is
 * checked for repeated members afterwards. cJSON's hooks stay unchanged, because the broker uses
 * the same library. One thread. */
#ifndef TALLY_BROKER_PLUGIN_TOKEN_JSON_H
#define TALLY_BROKER_PLUGIN_TOKEN_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* No more than any version of cJSON takes (63 characters where CVE-2023-26819 is not fixed, 1,000
 * levels), so that all of them read the same. */
#define TOKEN_JSON_NUMBER_MAX_BYTES 63
#define TOKEN_JSON_DEPTH_MAX 64

/* Parses the `bytes` bytes into an object. NULL if they are not exactly one JSON object (RFC 8259,
 * white space around it) in UTF-8; if an object in it has a member twice, a string or name has
 * \u0000 or half a surrogate pair, a number is longer than TOKEN_JSON_NUMBER_MAX_BYTES, a whole one
 * beyond 64 bits with sign or another beyond a double, or values are nested deeper than
 * TOKEN_JSON_DEPTH_MAX; and if memory is short. The caller frees it with token_json_free. */
cJSON *token_json_object(const void *text, size_t bytes);

/* Wipes its strings and names, and frees it. NULL is fine. */
void token_json_free(cJSON *value);

/* The object's member with exactly this name, case-sensitive. NULL if there is none, or if `object`
 * is NULL or not an object. */
const cJSON *token_json_member(const cJSON *object, const char *name);

/* The member's string, which belongs to the object, or NULL if it is not a string. */
const char *token_json_string(const cJSON *object, const char *name);

#endif

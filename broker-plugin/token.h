/* A reader's token: a JSON Web Token in compact form (RFC 7519; INTERFACES.md 3.1), whether it
 * holds now, and who its reader is. Pure: keys and time come in. One thread. */
#ifndef TALLY_BROKER_PLUGIN_TOKEN_H
#define TALLY_BROKER_PLUGIN_TOKEN_H

#include "token_keys.h"

#include "core/reader.h"

#include <stddef.h>
#include <stdint.h>

#define TOKEN_MAX_BYTES 4096
/* So long before its nbf it holds already: who makes tokens has another clock. Its exp has no such
 * grace. */
#define TOKEN_LEEWAY_S 5

/* What a token must say; an empty string: anything. */
struct token_rules {
    const char *issuer, *audience;
};

struct token {
    char reader[READER_NAME_MAX_BYTES]; /* sub: not NUL-terminated */
    size_t reader_bytes;                /* 1 to READER_NAME_MAX_BYTES */
    uint64_t expires_s;                 /* since 1970: from then on it does not hold */
};

/* NULL, and fills `token`, which the caller wipes; or why it does not hold: constant words, with
 * nothing of the token's. `now_s`: since 1970. Nothing is parsed of a text that is too long, and no
 * claim is looked at before the signature. */
const char *token_check(struct token_keys *keys, const struct token_rules *rules, const char *text,
                        size_t bytes, uint64_t now_s, struct token *token);

#endif

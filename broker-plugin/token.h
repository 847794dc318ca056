/* A reader's token: a JSON Web Token in compact form (RFC 7519; INTERFACES.md 3.1). Checks whether
 * it is valid now and who its reader is. Pure: keys and time come in. One thread. */
#ifndef TALLY_BROKER_PLUGIN_TOKEN_H
#define TALLY_BROKER_PLUGIN_TOKEN_H

#include "token_keys.h"

#include "core/reader.h"

#include <stddef.h>
#include <stdint.h>

#define TOKEN_MAX_BYTES 4096
/* A token is valid this long before its nbf, because the issuer's clock may differ. Its exp has no
 * grace. */
#define TOKEN_LEEWAY_S 5

/* Required values; an empty string: anything. */
struct token_rules {
    const char *issuer, *audience;
};

struct token {
    char reader[READER_NAME_MAX_BYTES]; /* sub: not NUL-terminated */
    size_t reader_bytes;                /* 1 to READER_NAME_MAX_BYTES */
    uint64_t expires_s;                 /* since 1970: from then on it is invalid */
};

/* NULL, and fills `token`, which the caller wipes; or a constant with the reason why it is invalid
 * and quotes nothing of the token. `now_s`: since 1970. A text that is too long is not parsed, and
 * no claim is read before the signature is verified. */
const char *token_check(struct token_keys *keys, const struct token_rules *rules, const char *text,
                        size_t bytes, uint64_t now_s, struct token *token);

#endif

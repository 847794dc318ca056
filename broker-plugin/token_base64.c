/* Decodes base64url in its one form: libsodium takes other bytes for '_'. */
#include "token_base64.h"

#include <sodium.h>

bool token_base64_decode(const char *text, size_t text_bytes, void *out, size_t max_bytes,
                         size_t *bytes)
{
    /* libsodium 1.0.18 decodes every non-ASCII byte as '_'. */
    for (size_t i = 0; i < text_bytes; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return sodium_base642bin(out, max_bytes, text, text_bytes, NULL, bytes, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}

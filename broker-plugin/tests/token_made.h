/* Keys and tokens of a test's own: signed by libsodium and GnuTLS, not by what is tested. Include
 * after unit.h. */
#ifndef TALLY_TESTS_TOKEN_MADE_H
#define TALLY_TESTS_TOKEN_MADE_H

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sodium.h>
#include <stdbool.h>

#define TOKEN_MADE_MAX_BYTES 16384

struct token_made {
    unsigned char secret[32];
    gnutls_privkey_t rsa, ec;
    unsigned char ed_public[crypto_sign_PUBLICKEYBYTES], ed_private[crypto_sign_SECRETKEYBYTES];
};

static inline void token_made_base64(char *out, size_t out_bytes, const void *data, size_t bytes)
{
    sodium_bin2base64(out, out_bytes, data, bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static inline gnutls_privkey_t token_made_private(gnutls_pk_algorithm_t algorithm, unsigned bits)
{
    gnutls_privkey_t key;
    assert_int_equal(gnutls_privkey_init(&key), 0);
    assert_int_equal(gnutls_privkey_generate(key, algorithm, bits, 0), 0);
    return key;
}

static inline void token_made_init(struct token_made *made)
{
    assert_true(sodium_init() >= 0);
    randombytes_buf(made->secret, sizeof made->secret);
    crypto_sign_keypair(made->ed_public, made->ed_private);
    made->rsa = token_made_private(GNUTLS_PK_RSA, 2048);
    made->ec =
        token_made_private(GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1));
}

static inline void token_made_fini(struct token_made *made)
{
    gnutls_privkey_deinit(made->rsa);
    gnutls_privkey_deinit(made->ec);
}

/* --- keys --- */

/* {"kty":"RSA","n":"…","e":"…"MORE} */
static inline void token_made_rsa(char *out, size_t out_bytes, gnutls_privkey_t key,
                                  const char *more)
{
    gnutls_datum_t n, e;
    char n_text[2048], e_text[64];
    assert_int_equal(gnutls_privkey_export_rsa_raw2(key, &n, &e, NULL, NULL, NULL, NULL, NULL, NULL,
                                                    GNUTLS_EXPORT_FLAG_NO_LZ),
                     0);
    token_made_base64(n_text, sizeof n_text, n.data, n.size);
    token_made_base64(e_text, sizeof e_text, e.data, e.size);
    gnutls_free(n.data);
    gnutls_free(e.data);
    (void)snprintf(out, out_bytes, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}", n_text, e_text,
                   more);
}

/* {"kty":"EC","crv":"P-256","x":"…","y":"…"MORE} */
static inline void token_made_ec(char *out, size_t out_bytes, gnutls_privkey_t key,
                                 const char *more)
{
    gnutls_datum_t coordinate[2];
    gnutls_ecc_curve_t curve;
    char text[2][64];
    assert_int_equal(
        gnutls_privkey_export_ecc_raw2(key, &curve, &coordinate[0], &coordinate[1], NULL, 0), 0);
    for (int i = 0; i < 2; i++) {
        unsigned char padded[32] = {0};
        gnutls_datum_t *d = &coordinate[i];
        size_t zeroes = d->size > 32 ? d->size - 32 : 0; /* in front */
        memcpy(padded + 32 - (d->size - zeroes), d->data + zeroes, d->size - zeroes);
        token_made_base64(text[i], sizeof text[i], padded, sizeof padded);
        gnutls_free(d->data);
    }
    (void)snprintf(out, out_bytes, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}",
                   text[0], text[1], more);
}

static inline void token_made_ed(char *out, size_t out_bytes, const struct token_made *made,
                                 const char *more)
{
    char x[64];
    token_made_base64(x, sizeof x, made->ed_public, sizeof made->ed_public);
    (void)snprintf(out, out_bytes, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"%s}", x, more);
}

static inline void token_made_oct(char *out, size_t out_bytes, const void *secret, size_t bytes,
                                  const char *more)
{
    char k[1024];
    token_made_base64(k, sizeof k, secret, bytes);
    (void)snprintf(out, out_bytes, "{\"kty\":\"oct\",\"k\":\"%s\"%s}", k, more);
}

/* A JWKS of all four, with the ids hs, rs, es, ed. */
static inline void token_made_jwks(char *out, size_t out_bytes, const struct token_made *made)
{
    char oct[512], rsa[2048], ec[512], ed[512];
    token_made_oct(oct, sizeof oct, made->secret, sizeof made->secret, ",\"kid\":\"hs\"");
    token_made_rsa(rsa, sizeof rsa, made->rsa, ",\"kid\":\"rs\",\"use\":\"sig\",\"alg\":\"RS256\"");
    token_made_ec(ec, sizeof ec, made->ec, ",\"kid\":\"es\",\"key_ops\":[\"verify\"]");
    token_made_ed(ed, sizeof ed, made, ",\"kid\":\"ed\",\"alg\":\"EdDSA\"");
    (void)snprintf(out, out_bytes, "{\"keys\":[%s,%s,%s,%s]}", oct, rsa, ec, ed);
}

/* --- signatures --- */

static inline size_t token_made_sign_by(gnutls_privkey_t key, const char *text, unsigned char *out)
{
    gnutls_datum_t data = {(unsigned char *)text, (unsigned)strlen(text)}, signature;
    assert_int_equal(gnutls_privkey_sign_data(key, GNUTLS_DIG_SHA256, 0, &data, &signature), 0);
    size_t bytes = signature.size;
    memcpy(out, signature.data, bytes);
    gnutls_free(signature.data);
    return bytes;
}

/* The DER of ECDSA to both numbers side by side. */
static inline size_t token_made_unpack(unsigned char *signature, size_t bytes)
{
    gnutls_datum_t der = {signature, (unsigned)bytes}, r, s;
    assert_int_equal(gnutls_decode_rs_value(&der, &r, &s), 0);
    memset(signature, 0, 64);
    size_t r_zeroes = r.size > 32 ? r.size - 32 : 0, s_zeroes = s.size > 32 ? s.size - 32 : 0;
    memcpy(signature + 32 - (r.size - r_zeroes), r.data + r_zeroes, r.size - r_zeroes);
    memcpy(signature + 64 - (s.size - s_zeroes), s.data + s_zeroes, s.size - s_zeroes);
    gnutls_free(r.data);
    gnutls_free(s.data);
    return 64;
}

/* Signs as `by` says: H, R, E, D, or n for an empty signature. Returns its length. */
static inline size_t token_made_sign(const struct token_made *made, char by, const char *text,
                                     unsigned char *out)
{
    switch (by) {
    case 'H':
        crypto_auth_hmacsha256(out, (const unsigned char *)text, strlen(text), made->secret);
        return crypto_auth_hmacsha256_BYTES;
    case 'R':
        return token_made_sign_by(made->rsa, text, out);
    case 'E':
        return token_made_unpack(out, token_made_sign_by(made->ec, text, out));
    case 'D':
        crypto_sign_detached(out, NULL, (const unsigned char *)text, strlen(text),
                             made->ed_private);
        return crypto_sign_BYTES;
    default:
        return 0;
    }
}

/* A token of this header and these claims, whatever they are. */
static inline void token_made_token(char out[TOKEN_MADE_MAX_BYTES], const struct token_made *made,
                                    char by, const char *header, const char *claims)
{
    unsigned char signature[1024];
    size_t used;

    token_made_base64(out, TOKEN_MADE_MAX_BYTES, header, strlen(header));
    used = strlen(out);
    out[used++] = '.';
    token_made_base64(out + used, TOKEN_MADE_MAX_BYTES - used, claims, strlen(claims));
    size_t n = token_made_sign(made, by, out, signature);
    used += strlen(out + used);
    out[used++] = '.';
    token_made_base64(out + used, TOKEN_MADE_MAX_BYTES - used, signature, n);
}

#endif

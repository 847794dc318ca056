#include "unit.h"

#include "token.h"
#include "token_json.h"
#include "token_made.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOW 1795510800
#define CLAIMS "{\"sub\":\"r\",\"exp\":1795510900}"
/* Claims that hold, with one more of this value. */
#define MORE(value) "{\"sub\":\"r\",\"exp\":1795510900,\"x\":" value "}"
#define SIXTEEN "aaaaaaaaaaaaaaaa"
#define HUNDRED_AND_28 SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN

static struct token_made made;
static struct token_keys *keys;
static const struct token_rules any = {"", ""};
static char text[TOKEN_MADE_MAX_BYTES];
static struct token token;

static int begin(void **state)
{
    char jwks[8192];
    struct error error;
    (void)state;
    token_made_init(&made);
    token_made_jwks(jwks, sizeof jwks, &made);
    keys = token_keys_parse(jwks, strlen(jwks), &error);
    require(keys != NULL, "%s", error.text);
    return 0;
}

static int end(void **state)
{
    (void)state;
    token_keys_free(keys);
    token_made_fini(&made);
    return 0;
}

static const char *check(const char *what)
{
    return token_check(keys, &any, what, strlen(what), NOW, &token);
}

static bool is_wiped(const struct token *what)
{
    for (size_t i = 0; i < sizeof *what; i++)
        if (((const unsigned char *)what)[i] != 0)
            return false;
    return true;
}

/* --- what holds --- */

static const struct {
    char by;
    const char *header, *claims, *reader;
    uint64_t expires_s;
} good[] = {
    {'H', "{\"alg\":\"HS256\"}", CLAIMS, "r", 1795510900},
    {'R', "{\"alg\":\"RS256\"}", CLAIMS, "r", 1795510900},
    {'E', "{\"alg\":\"ES256\"}", CLAIMS, "r", 1795510900},
    {'D', "{\"alg\":\"EdDSA\"}", CLAIMS, "r", 1795510900},
    {'H', "{\"alg\":\"HS256\",\"kid\":\"hs\",\"typ\":\"JWT\"}", CLAIMS, "r", 1795510900},
    {'R', "{\"alg\":\"RS256\",\"kid\":\"rs\"}", CLAIMS, "r", 1795510900},
    {'E', "{\"kid\":\"es\",\"alg\":\"ES256\"}", CLAIMS, "r", 1795510900},
    {'D', "{\"kid\":\"ed\",\"alg\":\"EdDSA\"}", CLAIMS, "r", 1795510900},
    {'H', " {\"alg\" : \"HS256\"}\n", " {\"sub\":\"r\",\"exp\":1795510801}\n", "r", 1795510801},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510801.9}", "r", 1795510801},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":253402300799}", "r", 253402300799},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"" HUNDRED_AND_28 "\",\"exp\":1795510900}",
     HUNDRED_AND_28, 1795510900},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"\xc3\xa4\\u00e4 b\",\"exp\":1795510900}",
     "\xc3\xa4\xc3\xa4 b", 1795510900},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510900,\"nbf\":1795510805}", "r",
     1795510900},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510900,\"iss\":[],\"aud\":7}", "r",
     1795510900},
    /* Whatever JSON has, beside what is read. */
    {'H', "{\"alg\":\"HS256\"}", MORE("{\"a\":[{},[],\"\",true,false,null]}"), "r", 1795510900},
    {'H', "{\"alg\":\"HS256\"}", MORE("[0,-0,0.5,-1.5,1e3,1E+3,1e-3,1.5e30,1e-999]"), "r",
     1795510900},
    {'H', "{\"alg\":\"HS256\"}", MORE("[9223372036854775807,-9223372036854775808]"), "r",
     1795510900},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude00\x7f\""), "r",
     1795510900},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\\\u0000\""), "r", 1795510900},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf\""), "r",
     1795510900},
    {'H', "{\"alg\":\"HS256\"}", MORE("[{\"a\":1},{\"a\":1}]"), "r", 1795510900},
    {'H', "{\"alg\":\"HS256\"}", MORE("{\"A\":1,\"a\":1,\"Sub\":2}"), "r", 1795510900},
    {'H', "{\"\\u0061lg\":\"HS\\u0032\\u00356\",\"Alg\":\"none\"}", CLAIMS, "r", 1795510900},
};

static void knows_the_reader(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        token_made_token(text, &made, good[i].by, good[i].header, good[i].claims);
        const char *wrong = check(text);
        require(wrong == NULL, "row %zu: %s", i, wrong);
        require(token.reader_bytes == strlen(good[i].reader) &&
                    memcmp(token.reader, good[i].reader, token.reader_bytes) == 0,
                "row %zu", i);
        require(token.expires_s == good[i].expires_s, "row %zu", i);
    }
}

/* --- what does not --- */

static const struct {
    char by;
    const char *header, *claims, *why;
} bad[] = {
    {'n', "{\"alg\":\"none\"}", CLAIMS, "base64url"},
    {'H', "{\"alg\":\"none\"}", CLAIMS, "alg"},
    {'H', "{\"alg\":\"None\"}", CLAIMS, "alg"},
    {'H', "{\"alg\":\"hs256\"}", CLAIMS, "alg"},
    {'H', "{\"alg\":\"HS512\"}", CLAIMS, "alg"},
    {'H', "{\"alg\":\"PS256\"}", CLAIMS, "alg"},
    {'H', "{\"alg\":null}", CLAIMS, "alg"},
    {'H', "{\"alg\":[\"HS256\"]}", CLAIMS, "alg"},
    {'H', "{}", CLAIMS, "alg"},
    {'H', "{\"alg\":\"HS256\\u0000\"}", CLAIMS, "JSON"},
    {'H', "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", CLAIMS, "JSON"},
    {'H', "{\"alg\":\"HS256\"}}", CLAIMS, "JSON"},
    {'H', "[\"HS256\"]", CLAIMS, "JSON"},
    {'H', "\"HS256\"", CLAIMS, "JSON"},
    {'H', "{\"alg\":\"HS256\",\"x\":\"\xff\"}", CLAIMS, "JSON"},
    {'H', "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", CLAIMS, "crit"},
    {'H', "{\"alg\":\"HS256\",\"crit\":[]}", CLAIMS, "crit"},
    {'H', "{\"alg\":\"HS256\",\"kid\":7}", CLAIMS, "kid"},
    {'H', "{\"alg\":\"HS256\",\"kid\":\"\"}", CLAIMS, "no key"},
    {'H', "{\"alg\":\"HS256\",\"kid\":\"other\"}", CLAIMS, "no key"},
    {'H', "{\"alg\":\"HS256\",\"kid\":\"rs\"}", CLAIMS, "no key"},
    {'R', "{\"alg\":\"RS256\",\"kid\":\"hs\"}", CLAIMS, "no key"},
    /* Another algorithm than that of who signed. */
    {'R', "{\"alg\":\"HS256\"}", CLAIMS, "signature"},
    {'H', "{\"alg\":\"RS256\"}", CLAIMS, "signature"},
    {'H', "{\"alg\":\"ES256\"}", CLAIMS, "signature"},
    {'H', "{\"alg\":\"EdDSA\"}", CLAIMS, "signature"},
    {'D', "{\"alg\":\"ES256\"}", CLAIMS, "signature"},
    {'E', "{\"alg\":\"EdDSA\"}", CLAIMS, "signature"},
    /* Claims. */
    {'H', "{\"alg\":\"HS256\"}", "{\"exp\":1795510900}", "sub"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"\",\"exp\":1795510900}", "sub"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":4711,\"exp\":1795510900}", "sub"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":[\"r\"],\"exp\":1795510900}", "sub"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"" HUNDRED_AND_28 "a\",\"exp\":1795510900}", "sub"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\\u0000\",\"exp\":1795510900}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"\xff\",\"exp\":1795510900}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"a\",\"sub\":\"b\",\"exp\":1795510900}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", CLAIMS "x", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "[" CLAIMS "]", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "r", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\"}", "exp"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":\"1795510900\"}", "exp"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":null}", "exp"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":-1}", "exp"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1e300}", "exp"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":253402300800}", "exp"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510800}", "expired"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510800.9}", "expired"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":0}", "expired"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510900,\"nbf\":1795510806}", "nbf"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510900,\"nbf\":\"0\"}", "nbf"},
    /* What some parsers take for JSON. */
    {'H', "\xef\xbb\xbf{\"alg\":\"HS256\"}", CLAIMS, "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "\xef\xbb\xbf" CLAIMS, "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "\x01" CLAIMS, "JSON"},
    {'H', "{\"alg\":\"HS256\"}", CLAIMS "\x0b", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", CLAIMS CLAIMS, "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\x0c\"exp\":1795510900}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510900,}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510900", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"a\nb\",\"exp\":1795510900}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"a\",\"s\\u0075b\":\"b\",\"exp\":1795510900}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":01795510900}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":1795510900.}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":-.5}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", "{\"sub\":\"r\",\"exp\":+1795510900}", "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("1e"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("-"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("0x10"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("NaN"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("1e999"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("-1e999"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("9223372036854775808"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("-9223372036854775809"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("True"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("tru"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE(""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("'a'"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("[1,]"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("[1 2]"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("{\"a\"}"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("{a:1}"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("[{\"a\":{\"b\":1,\"b\":1}}]"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("{\"\":1,\"a\":2,\"\":3}"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\u0000\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("{\"a\\u0000\":1}"), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\uqqqq\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\u12\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\ud800\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\ude00\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\ud83d\\ud83d\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\\x41\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\x1f\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\xc0\x80\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\xc3\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\xe0\x80\xaf\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\xed\xa0\x80\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("\"\xf4\x90\x80\x80\""), "JSON"},
    {'H', "{\"alg\":\"HS256\"}", MORE("/* a */ 1"), "JSON"},
};

static void refuses_what_does_not_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        token_made_token(text, &made, bad[i].by, bad[i].header, bad[i].claims);
        const char *wrong = check(text);
        require(wrong != NULL && strstr(wrong, bad[i].why) != NULL, "row %zu: %s", i,
                wrong == NULL ? "it holds" : wrong);
        require(is_wiped(&token), "row %zu", i);
    }
}

/* The public key of RSA is not a secret of HMAC, in whatever form it is known. */
static void confuses_no_algorithms(void **state)
{
    struct token_made other = made;
    char rsa[2048], jwks[4096];
    struct error error;
    (void)state;
    token_made_rsa(rsa, sizeof rsa, made.rsa, "");
    (void)snprintf(jwks, sizeof jwks, "{\"keys\":[%s]}", rsa);
    struct token_keys *only = token_keys_parse(jwks, strlen(jwks), &error);
    assert_non_null(only);
    crypto_hash_sha256(other.secret, (const unsigned char *)rsa, strlen(rsa));
    token_made_token(text, &other, 'H', "{\"alg\":\"HS256\"}", CLAIMS);
    assert_string_equal(token_check(only, &any, text, strlen(text), NOW, &token),
                        "there is no key of its alg and kid");
    token_keys_free(only);
}

/* Each other text, however near to one that holds. */
static void refuses_what_is_bent(void **state)
{
    static const char *const broken[] = {
        "", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "....", "eyJhbGciOiJIUzI1NiJ9..",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken); i++)
        require(check(broken[i]) != NULL, "%s", broken[i]);
    for (size_t row = 0; row < 4; row++) {
        token_made_token(text, &made, good[row].by, good[row].header, good[row].claims);
        size_t bytes = strlen(text);
        assert_null(check(text));
        for (size_t i = 0; i < bytes; i++) { /* each character another, and each end cut off */
            char was = text[i];
            text[i] = was == 'A' ? 'B' : 'A';
            require(check(text) != NULL, "row %zu, byte %zu", row, i);
            text[i] = was;
            require(token_check(keys, &any, text, i, NOW, &token) != NULL, "row %zu, %zu bytes",
                    row, i);
        }
        static const char *const behind[] = {".", "=", "A", "AA", " ", "\n", "-", "\x80"};
        for (size_t i = 0; i < COUNT_OF(behind); i++) {
            strcpy(text + bytes, behind[i]);
            require(check(text) != NULL, "row %zu, behind it %zu", row, i);
        }
        text[bytes] = '\0';
        memmove(text + 1, text, bytes + 1);
        text[0] = ' ';
        assert_non_null(check(text));
    }
}

/* The last character of 32 bytes holds two bits that say nothing: one signature has one form. */
static void takes_a_part_in_its_one_form(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (void)state;
    token_made_token(text, &made, 'H', good[0].header, good[0].claims);
    char *last = text + strlen(text) - 1;
    const char *at = strchr(digits, *last);
    assert_null(check(text));
    assert_int_equal((at - digits) % 4, 0);
    *last = at[1];
    assert_non_null(check(text));
    /* Bytes beyond ASCII, which libsodium 1.0.18 decodes as if each of them were '_'. */
    for (int made_tokens = 0, replaced = 0; replaced == 0; made_tokens++) {
        char claims[128];
        require_between(made_tokens, 0, 1000); /* every second signature has a '_' */
        (void)snprintf(claims, sizeof claims, MORE("%d"), made_tokens);
        token_made_token(text, &made, 'H', good[0].header, claims);
        assert_null(check(text));
        for (char *c = strrchr(text, '.') + 1; *c != '\0'; c++)
            for (int byte = 0x80; *c == '_' && byte <= 0xff; byte++, replaced++) {
                *c = (char)byte;
                require(check(text) != NULL, "byte %d", byte);
                *c = '_';
            }
    }
}

static void is_bounded(void **state)
{
    char claims[8192];
    (void)state;
    for (size_t filler = 2900; filler < 3100; filler++) {
        (void)snprintf(claims, sizeof claims, "{\"sub\":\"r\",\"exp\":1795510900,\"x\":\"%0*d\"}",
                       (int)filler, 0);
        token_made_token(text, &made, 'H', good[0].header, claims);
        const char *wrong = check(text);
        if (strlen(text) > TOKEN_MAX_BYTES)
            assert_string_equal(wrong, "it is longer than 4096 bytes");
        else
            require(wrong == NULL, "%zu bytes: %s", strlen(text), wrong);
    }
    /* Numbers of any length that a claim can have. */
    for (int digits = 1; digits < 200; digits++) {
        (void)snprintf(claims, sizeof claims, "{\"sub\":\"r\",\"exp\":1795510900,\"x\":0.%0*d}",
                       digits, 1);
        token_made_token(text, &made, 'H', good[0].header, claims);
        require((check(text) == NULL) == (digits + 2 <= TOKEN_JSON_NUMBER_MAX_BYTES), "%d", digits);
    }
    /* Claims within each other. */
    for (int depth = 1; depth < 1400; depth++) {
        char open[1400], close[1400];
        memset(open, '[', (size_t)depth);
        memset(close, ']', (size_t)depth);
        (void)snprintf(claims, sizeof claims, MORE("%.*s0%.*s"), depth, open, depth, close);
        token_made_token(text, &made, 'H', good[0].header, claims);
        require((check(text) == NULL) == (depth < TOKEN_JSON_DEPTH_MAX), "%d", depth);
    }
    /* As many claims as it has room for; the first once more. */
    for (int again = 0; again < 2; again++) {
        size_t used = (size_t)snprintf(claims, sizeof claims, "{\"sub\":\"r\",\"exp\":1795510900");
        for (int i = 0; i < 330; i++)
            used += (size_t)snprintf(claims + used, sizeof claims - used, ",\"%x\":0", i);
        (void)snprintf(claims + used, sizeof claims - used, again ? ",\"0\":0}" : "}");
        token_made_token(text, &made, 'H', good[0].header, claims);
        require((check(text) == NULL) == !again, "%s", check(text));
    }
    /* As deep as it goes. */
    memset(claims, '[', 3000);
    claims[3000] = '\0';
    token_made_token(text, &made, 'H', good[0].header, claims);
    assert_string_equal(check(text), "the claims are not a JSON object");
    token_made_token(text, &made, 'H', claims, good[0].claims);
    assert_non_null(check(text));
}

static void honours_issuer_and_audience(void **state)
{
    static const struct {
        const char *issuer, *audience, *claims, *why;
    } rows[] = {
        {"us", "", "{\"sub\":\"r\",\"exp\":1795510900,\"iss\":\"us\"}", NULL},
        {"us", "", "{\"sub\":\"r\",\"exp\":1795510900,\"iss\":\"u\"}", "iss"},
        {"us", "", "{\"sub\":\"r\",\"exp\":1795510900,\"iss\":[\"us\"]}", "iss"},
        {"us", "", "{\"sub\":\"r\",\"exp\":1795510900}", "iss"},
        {"", "it", "{\"sub\":\"r\",\"exp\":1795510900,\"aud\":\"it\"}", NULL},
        {"", "it", "{\"sub\":\"r\",\"exp\":1795510900,\"aud\":[7,\"that\",\"it\"]}", NULL},
        {"", "it", "{\"sub\":\"r\",\"exp\":1795510900,\"aud\":[]}", "aud"},
        {"", "it", "{\"sub\":\"r\",\"exp\":1795510900,\"aud\":\"its\"}", "aud"},
        {"", "it", "{\"sub\":\"r\",\"exp\":1795510900,\"aud\":{\"it\":\"it\"}}", "aud"},
        {"", "it", "{\"sub\":\"r\",\"exp\":1795510900}", "aud"},
        {"us", "it", "{\"sub\":\"r\",\"exp\":1795510900,\"iss\":\"us\",\"aud\":\"it\"}", NULL},
        {"us", "it", "{\"sub\":\"r\",\"exp\":1795510900,\"iss\":\"it\",\"aud\":\"us\"}", "iss"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct token_rules rules = {rows[i].issuer, rows[i].audience};
        token_made_token(text, &made, 'H', good[0].header, rows[i].claims);
        const char *wrong = token_check(keys, &rules, text, strlen(text), NOW, &token);
        if (rows[i].why == NULL)
            require(wrong == NULL, "row %zu: %s", i, wrong);
        else
            require(wrong != NULL && strncmp(wrong, rows[i].why, strlen(rows[i].why)) == 0,
                    "row %zu: %s", i, wrong == NULL ? "it holds" : wrong);
    }
}

/* --- nothing is fetched, nothing is taken from the header --- */

static int listen_on_loopback(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void follows_no_address(void **state)
{
    struct token_made stranger;
    char header[4096], rsa[2048];
    struct error error;
    uint16_t port;
    int fd = listen_on_loopback(&port);
    (void)state;
    token_made_init(&stranger);
    token_made_rsa(rsa, sizeof rsa, stranger.rsa, "");
    for (int with_key = 0; with_key < 2; with_key++) {
        (void)snprintf(header, sizeof header,
                       "{\"alg\":\"RS256\",\"jku\":\"http://127.0.0.1:%u/a\","
                       "\"x5u\":\"https://127.0.0.1:%u/b\",\"x5c\":[\"AAAA\"]%s%s}",
                       port, port, with_key ? ",\"jwk\":" : "", with_key ? rsa : "");
        token_made_token(text, &stranger, 'R', header, CLAIMS);
        assert_string_equal(check(text), "the signature is by none of the keys");
        token_made_token(text, &made, 'R', header, CLAIMS); /* of no account */
        assert_null(check(text));
    }
    /* Nor does a key of the file. */
    (void)snprintf(header, sizeof header,
                   "{\"keys\":[{\"kty\":\"RSA\",\"x5u\":\"https://127.0.0.1:%u/c\"}]}", port);
    assert_null(token_keys_parse(header, strlen(header), &error));
    assert_int_equal(accept(fd, NULL, NULL), -1);
    close(fd);
    token_made_fini(&stranger);
}

/* --- what it costs, for DESIGN; nothing is asserted of it --- */

static void says_what_it_costs(void **state)
{
    (void)state;
    for (size_t row = 0; row < 4; row++) {
        struct timespec from, to;
        enum { TIMES = 100 };
        token_made_token(text, &made, good[row].by, good[row].header, good[row].claims);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        for (int i = 0; i < TIMES; i++)
            assert_null(check(text));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        double us =
            (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
        print_message("%s %.1f us\n", good[row].header, us / TIMES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_reader),
        cmocka_unit_test(refuses_what_does_not_hold),
        cmocka_unit_test(confuses_no_algorithms),
        cmocka_unit_test(refuses_what_is_bent),
        cmocka_unit_test(takes_a_part_in_its_one_form),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(honours_issuer_and_audience),
        cmocka_unit_test(follows_no_address),
        cmocka_unit_test(says_what_it_costs),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

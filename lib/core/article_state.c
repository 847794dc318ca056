/* Parses the JSON from left to right with scan.c, and writes it in one fixed order of members. */
#include "core/article_state.h"

#include "core/article.h"
#include "core/scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VERSION_MAX ((UINT64_C(1) << 53) - 1) /* the largest exact integer in a double */
#define YEAR_MIN 2000u                        /* so no time is 0, which means none */
#define FRACTION_MAX_DIGITS 9
#define DAY_MS UINT64_C(86400000)

/* --- times: RFC 3339, in UTC --- */

/* Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that
 * the leap day comes last in its year. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    return 365u * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* `n` digits as a number. False if they are not all digits. */
static bool take_digits(struct scan *in, int n, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        if (in->at == in->end || *in->at < '0' || *in->at > '9')
            return false;
        *out = *out * 10 + (unsigned)(*in->at++ - '0');
    }
    return true;
}

/* ".123" and further digits, which are dropped. */
static bool take_fraction(struct scan *in, unsigned *ms)
{
    unsigned digit, weight = 100;
    int n = 0;
    *ms = 0;
    if (!scan_take(in, '.'))
        return true;
    for (; take_digits(in, 1, &digit); n++, weight /= 10)
        *ms += digit * weight;
    return n > 0 && n <= FRACTION_MAX_DIGITS;
}

static bool read_time(const char *text, size_t n, uint64_t *out)
{
    const unsigned char *bytes = (const unsigned char *)text;
    struct scan in = {bytes, bytes + n};
    unsigned year, month, day, hour, minute, second, ms;
    if (!take_digits(&in, 4, &year) || !scan_take(&in, '-') || !take_digits(&in, 2, &month) ||
        !scan_take(&in, '-') || !take_digits(&in, 2, &day) || !scan_take(&in, 'T') ||
        !take_digits(&in, 2, &hour) || !scan_take(&in, ':') || !take_digits(&in, 2, &minute) ||
        !scan_take(&in, ':') || !take_digits(&in, 2, &second) || !take_fraction(&in, &ms) ||
        !scan_take(&in, 'Z') || in.at != in.end)
        return false;
    if (year < YEAR_MIN || month < 1 || month > 12 || day < 1 || day > month_days(year, month) ||
        hour > 23 || minute > 59 || second > 59)
        return false;
    *out = days_of(year, month, day) * DAY_MS +
           ((uint64_t)hour * 3600 + (uint64_t)minute * 60 + second) * 1000 + ms;
    return true;
}

int article_state_time(const char *text, uint64_t *unix_ms)
{
    return read_time(text, strlen(text), unix_ms) ? 0 : -1;
}

/* The inverse of days_of. */
static void write_time(uint64_t unix_ms, char out[32])
{
    unsigned days = (unsigned)(unix_ms / DAY_MS) + 719468, ms = (unsigned)(unix_ms % DAY_MS);
    unsigned era = days / 146097, of_era = days % 146097;
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100), m = (5 * of_year + 2) / 153;
    unsigned day = of_year - (153 * m + 2) / 5 + 1, month = m < 10 ? m + 3 : m - 9;
    year += era * 400 + (month <= 2 ? 1 : 0);
    snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year % 10000, month, day, ms / 3600000,
             ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

/* --- reading --- */

enum {
    MEMBER_STATE = 1,
    MEMBER_KINDS = 2,
    MEMBER_OPENS = 4,
    MEMBER_CLOSES = 8,
    MEMBER_RESULTS = 16,
    MEMBER_VERSION = 32,
    MEMBER_ARTICLE = 64,
    MEMBER_OPEN = 128,
};

struct reading {
    struct scan in;
    unsigned seen;
    const char *article;
    size_t article_bytes;
    struct article_state *out;
};

static bool bytes_are(const void *bytes, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(bytes, word, n) == 0;
}

static bool text_is(const struct scan_text *text, const char *word)
{
    return bytes_are(text->bytes, text->n, word);
}

static unsigned article_state_member(const struct scan_text *name)
{
    static const struct {
        const char *name;
        unsigned member;
    } members[] = {{"state", MEMBER_STATE},     {"kinds", MEMBER_KINDS},
                   {"opens_at", MEMBER_OPENS},  {"closes_at", MEMBER_CLOSES},
                   {"results", MEMBER_RESULTS}, {"version", MEMBER_VERSION},
                   {"article", MEMBER_ARTICLE}, {"open", MEMBER_OPEN}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (text_is(name, members[i].name))
            return members[i].member;
    return 0;
}

/* One of two words. Sets *second if it is the second. */
static bool take_choice(struct scan *in, const char *first, const char *second, bool *is_second)
{
    char buffer[16];
    struct scan_text text = {buffer, 0, sizeof buffer};
    if (!scan_string(in, &text))
        return false;
    *is_second = text_is(&text, second);
    return *is_second || text_is(&text, first);
}

static bool take_time(struct scan *in, uint64_t *out)
{
    char buffer[40];
    struct scan_text text = {buffer, 0, sizeof buffer};
    return scan_string(in, &text) && read_time(text.bytes, text.n, out);
}

static bool take_kind(struct scan *in, struct article_state *out)
{
    char buffer[KIND_NAME_MAX_BYTES];
    struct scan_text name = {buffer, 0, sizeof buffer};
    if (out->kinds == KIND_MAX || !scan_string(in, &name) || !kind_name_valid(name.bytes, name.n) ||
        text_is(&name, "none"))
        return false;
    for (int i = 0; i < out->kinds; i++)
        if (text_is(&name, out->kind[i]))
            return false;
    memcpy(out->kind[out->kinds], name.bytes, name.n);
    out->kind[out->kinds++][name.n] = '\0';
    return true;
}

static bool take_kinds(struct scan *in, struct article_state *out)
{
    if (!scan_take(in, '['))
        return false;
    do {
        scan_space(in);
        if (!take_kind(in, out))
            return false;
        scan_space(in);
    } while (scan_take(in, ','));
    return scan_take(in, ']');
}

static bool take_article(struct reading *reading)
{
    char buffer[ARTICLE_MAX_BYTES];
    struct scan_text text = {buffer, 0, sizeof buffer};
    return scan_string(&reading->in, &text) && text.n == reading->article_bytes &&
           memcmp(text.bytes, reading->article, text.n) == 0;
}

static bool take_truth(struct scan *in, bool *out)
{
    *out = in->at < in->end && *in->at == 't';
    for (const char *word = *out ? "true" : "false"; *word != '\0'; word++)
        if (!scan_take(in, (unsigned char)*word))
            return false;
    return true;
}

static bool take_value(struct reading *reading, unsigned which)
{
    struct scan *in = &reading->in;
    struct article_state *out = reading->out;
    switch (which) {
    case MEMBER_STATE:
        return take_choice(in, "open", "closed", &out->closed);
    case MEMBER_KINDS:
        return take_kinds(in, out);
    case MEMBER_OPENS:
        return take_time(in, &out->opens_at_ms);
    case MEMBER_CLOSES:
        return take_time(in, &out->closes_at_ms);
    case MEMBER_RESULTS:
        return take_choice(in, "always", "after_close", &out->after_close);
    case MEMBER_VERSION:
        return scan_whole(in, VERSION_MAX, &out->version) && out->version > 0;
    case MEMBER_ARTICLE:
        return take_article(reading);
    default:
        return take_truth(in, &out->open);
    }
}

/* One `"name":value`. */
static bool take_member(struct reading *reading)
{
    char buffer[16];
    struct scan_text name = {buffer, 0, sizeof buffer};
    if (!scan_string(&reading->in, &name))
        return false;
    unsigned which = article_state_member(&name);
    scan_space(&reading->in);
    if (which == 0 || (reading->seen & which) || !scan_take(&reading->in, ':'))
        return false;
    reading->seen |= which;
    scan_space(&reading->in);
    return take_value(reading, which);
}

static bool take_object(struct reading *reading)
{
    struct scan *in = &reading->in;
    scan_space(in);
    if (!scan_take(in, '{'))
        return false;
    scan_space(in);
    if (scan_take(in, '}'))
        goto end;
    do {
        scan_space(in);
        if (!take_member(reading))
            return false;
        scan_space(in);
    } while (scan_take(in, ','));
    if (!scan_take(in, '}'))
        return false;
end:
    scan_space(in);
    return in->at == in->end;
}

int article_state_parse(struct article_state *out, const char *article, size_t article_bytes,
                        const void *payload, size_t bytes)
{
    struct reading reading = {.in = {payload, (const unsigned char *)payload + bytes},
                              .article = article,
                              .article_bytes = article_bytes,
                              .out = out};

    memset(out, 0, sizeof *out);
    if (bytes > ARTICLE_STATE_PAYLOAD_MAX_BYTES)
        return -1;
    size_t word_bytes = scan_line(payload, bytes);
    out->closed = bytes_are(payload, word_bytes, "closed");
    if (out->closed || bytes_are(payload, word_bytes, "open"))
        return 0;
    if (!take_object(&reading))
        return -1;
    if (out->version == 0 && (reading.seen & (MEMBER_ARTICLE | MEMBER_OPEN)))
        return -1;
    if (out->opens_at_ms != 0 && out->closes_at_ms != 0 && out->closes_at_ms <= out->opens_at_ms)
        return -1;
    return 0;
}

/* --- writing --- */

struct writing {
    char *out;
    size_t used, bytes; /* used equals bytes if it did not fit */
};

static void put_bytes(struct writing *writing, const char *text, size_t n)
{
    if (n >= writing->bytes - writing->used) {
        writing->used = writing->bytes;
        return;
    }
    memcpy(writing->out + writing->used, text, n);
    writing->used += n;
    writing->out[writing->used] = '\0';
}

static void article_state_put(struct writing *writing, const char *text)
{
    put_bytes(writing, text, strlen(text));
}

static void put_time(struct writing *writing, const char *name, uint64_t unix_ms)
{
    char text[32];
    if (unix_ms == 0)
        return;
    write_time(unix_ms, text);
    article_state_put(writing, name);
    article_state_put(writing, text);
    article_state_put(writing, "\"");
}

/* An article's id and a kind's name need no escaping. */
size_t article_state_write(const struct article_state *state, const char *article,
                           size_t article_bytes, bool open, char *out, size_t out_bytes)
{
    struct writing writing = {.out = out, .bytes = out_bytes};
    char number[40];

    if (out_bytes == 0)
        return 0;
    out[0] = '\0';
    if (article != NULL) {
        article_state_put(&writing, "{\"article\":\"");
        put_bytes(&writing, article, article_bytes);
        article_state_put(&writing, open ? "\",\"open\":true," : "\",\"open\":false,");
    } else
        article_state_put(&writing, "{");
    article_state_put(&writing, state->closed ? "\"state\":\"closed\"" : "\"state\":\"open\"");
    for (int i = 0; i < state->kinds; i++) {
        article_state_put(&writing, i == 0 ? ",\"kinds\":[\"" : "\",\"");
        article_state_put(&writing, state->kind[i]);
    }
    if (state->kinds > 0)
        article_state_put(&writing, "\"]");
    put_time(&writing, ",\"opens_at\":\"", state->opens_at_ms);
    put_time(&writing, ",\"closes_at\":\"", state->closes_at_ms);
    article_state_put(&writing, state->after_close ? ",\"results\":\"after_close\""
                                                   : ",\"results\":\"always\"");
    if (state->version > 0) {
        snprintf(number, sizeof number, ",\"version\":%" PRIu64, state->version);
        article_state_put(&writing, number);
    }
    article_state_put(&writing, "}");
    return writing.used < writing.bytes ? writing.used : 0;
}

/* --- meaning --- */

bool article_state_closed_at(const struct article_state *state, uint64_t unix_ms)
{
    return state->closed || (state->closes_at_ms != 0 && unix_ms >= state->closes_at_ms);
}

bool article_state_open_at(const struct article_state *state, uint64_t unix_ms)
{
    return !article_state_closed_at(state, unix_ms) && unix_ms >= state->opens_at_ms;
}

bool article_state_hides(const struct article_state *state, uint64_t unix_ms)
{
    return state->after_close && !article_state_closed_at(state, unix_ms);
}

uint64_t article_state_next_change(const struct article_state *state, uint64_t unix_ms)
{
    if (article_state_closed_at(state, unix_ms))
        return ARTICLE_STATE_NEVER;
    if (unix_ms < state->opens_at_ms)
        return state->opens_at_ms;
    return state->closes_at_ms != 0 ? state->closes_at_ms : ARTICLE_STATE_NEVER;
}

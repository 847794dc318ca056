#include "article_state.h"

#include "core/error.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FRACTION_MAX_DIGITS 9
#define TIME_BYTES 32

/* --- times --- */

static bool digits(const char **at, int n, int *out)
{
    *out = 0;
    for (; n > 0; n--, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool literal(const char **at, char c)
{
    return **at == c ? (*at)++, true : false;
}

/* Milliseconds of `.123456`; no fraction is 0. */
static bool fraction(const char **at, int *ms)
{
    int n = 0;
    *ms = 0;
    if (**at != '.')
        return true;
    for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, n++)
        if (n < 3)
            *ms = *ms * 10 + (**at - '0');
    for (int i = n; i < 3; i++)
        *ms *= 10;
    return n >= 1 && n <= FRACTION_MAX_DIGITS;
}

int article_state_time(const char *text, uint64_t *unix_ms)
{
    struct tm tm = {.tm_isdst = 0}, back;
    int ms;
    const char *at = text;
    if (!digits(&at, 4, &tm.tm_year) || !literal(&at, '-') || !digits(&at, 2, &tm.tm_mon) ||
        !literal(&at, '-') || !digits(&at, 2, &tm.tm_mday) || !literal(&at, 'T') ||
        !digits(&at, 2, &tm.tm_hour) || !literal(&at, ':') || !digits(&at, 2, &tm.tm_min) ||
        !literal(&at, ':') || !digits(&at, 2, &tm.tm_sec) || !fraction(&at, &ms) ||
        !literal(&at, 'Z') || *at != '\0')
        return -1;
    const struct tm given = tm;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    time_t seconds = timegm(&tm);
    /* What there is not, such as the 30th of February, becomes another. */
    if (given.tm_year < 1970 || gmtime_r(&seconds, &back) == NULL ||
        back.tm_mon + 1 != given.tm_mon || back.tm_mday != given.tm_mday ||
        back.tm_hour != given.tm_hour || back.tm_min != given.tm_min || back.tm_sec != given.tm_sec)
        return -1;
    *unix_ms = (uint64_t)seconds * 1000 + (uint64_t)ms;
    return 0;
}

static void write_time(uint64_t unix_ms, char out[TIME_BYTES])
{
    struct tm tm;
    time_t seconds = (time_t)(unix_ms / 1000);
    (void)gmtime_r(&seconds, &tm);
    size_t used = strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + used, TIME_BYTES - used, ".%03uZ", (unsigned)(unix_ms % 1000));
}

/* --- parts --- */

static int take_word(bool *out, const char *text, const char *no, const char *yes)
{
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0 ? 0 : -1;
}

static int add_kind(struct article_state *state, const char *name)
{
    size_t bytes = strlen(name);
    if (!kind_name_valid(name, bytes) || strcmp(name, "none") == 0 || state->kinds == KIND_MAX)
        return -1;
    for (int i = 0; i < state->kinds; i++)
        if (strcmp(state->kind[i], name) == 0)
            return -1;
    memcpy(state->kind[state->kinds++], name, bytes + 1);
    return 0;
}

static int take_kinds(struct article_state *state, const cJSON *names)
{
    const cJSON *name;
    if (!cJSON_IsArray(names) || cJSON_GetArraySize(names) == 0)
        return -1;
    cJSON_ArrayForEach(name, names)
    {
        if (!cJSON_IsString(name) || add_kind(state, name->valuestring) != 0)
            return -1;
    }
    return 0;
}

static int take_time(bool *given, uint64_t *unix_ms, const cJSON *text)
{
    *given = true;
    return cJSON_IsString(text) ? article_state_time(text->valuestring, unix_ms) : -1;
}

static int take_member(struct article_state *state, const cJSON *member)
{
    const char *name = member->string, *text = cJSON_GetStringValue(member);
    if (strcmp(name, "state") == 0)
        return text == NULL ? -1 : take_word(&state->closed, text, "open", "closed");
    if (strcmp(name, "results") == 0)
        return text == NULL ? -1 : take_word(&state->after_close, text, "always", "after_close");
    if (strcmp(name, "kinds") == 0)
        return take_kinds(state, member);
    if (strcmp(name, "opens_at") == 0)
        return take_time(&state->opens, &state->opens_ms, member);
    if (strcmp(name, "closes_at") == 0)
        return take_time(&state->closes, &state->closes_ms, member);
    /* The feed's own. */
    return strcmp(name, "article") == 0 || strcmp(name, "open") == 0 || strcmp(name, "version") == 0
               ? 0
               : -1;
}

static int check_times(const struct article_state *state, char *error, size_t error_bytes)
{
    if (state->opens && state->closes && state->closes_ms <= state->opens_ms)
        return error_say(error, error_bytes, "closes_at is not after opens_at");
    return 0;
}

/* --- reading --- */

static int take_members(struct article_state *state, const cJSON *object, char *error,
                        size_t error_bytes)
{
    const cJSON *one, *other;
    if (!cJSON_IsObject(object))
        return error_say(error, error_bytes, "it is neither open, closed nor a JSON object");
    cJSON_ArrayForEach(one, object)
    {
        for (other = one->next; other != NULL; other = other->next)
            if (strcmp(one->string, other->string) == 0)
                return error_say(error, error_bytes, "%.40s is there twice", one->string);
        if (take_member(state, one) != 0)
            return error_say(error, error_bytes, "%.40s is not as it may be", one->string);
    }
    return check_times(state, error, error_bytes);
}

int article_state_parse(struct article_state *state, const char *text, size_t bytes, char *error,
                        size_t error_bytes)
{
    memset(state, 0, sizeof *state);
    if (bytes == 0 || (bytes == 4 && memcmp(text, "open", 4) == 0))
        return 0;
    if (bytes == 6 && memcmp(text, "closed", 6) == 0) {
        state->closed = true;
        return 0;
    }
    const char *end = text;
    cJSON *object = cJSON_ParseWithLengthOpts(text, bytes, &end, 0);
    while (object != NULL && end < text + bytes && strchr(" \t\r\n", *end) != NULL && *end != '\0')
        end++;
    int result = object != NULL && end != text + bytes
                     ? error_say(error, error_bytes, "something stands behind its JSON object")
                     : take_members(state, object, error, error_bytes);
    cJSON_Delete(object);
    return result;
}

/* --- changing --- */

static int change_kinds(struct article_state *state, const char *list, char *error,
                        size_t error_bytes)
{
    struct kind_table table;
    char why[160];
    state->kinds = 0;
    if (strcmp(list, "all") == 0)
        return 0;
    if (kind_table_parse(&table, list, why, sizeof why) != 0)
        return error_say(error, error_bytes, "option kinds: %s", why);
    for (int i = 1; i <= table.n; i++)
        (void)add_kind(state, table.name[i]);
    return 0;
}

static int change_time(const char *option, bool *given, uint64_t *unix_ms, const char *text,
                       char *error, size_t error_bytes)
{
    *given = strcmp(text, "none") != 0;
    if (*given && article_state_time(text, unix_ms) != 0)
        return error_say(error, error_bytes,
                         "option %s: %s is not a time as 2026-12-01T08:00:00Z, or none", option,
                         text);
    return 0;
}

int article_state_change(struct article_state *state, const struct article_state_change *change,
                         char *error, size_t error_bytes)
{
    if (change->state[0] != '\0' && take_word(&state->closed, change->state, "open", "closed") != 0)
        return error_say(error, error_bytes, "option state: %s is not open or closed",
                         change->state);
    if (change->results[0] != '\0' &&
        take_word(&state->after_close, change->results, "always", "after_close") != 0)
        return error_say(error, error_bytes, "option results: %s is not always or after_close",
                         change->results);
    if (change->kinds[0] != '\0' && change_kinds(state, change->kinds, error, error_bytes) != 0)
        return -1;
    if (change->opens_at[0] != '\0' && change_time("opens_at", &state->opens, &state->opens_ms,
                                                   change->opens_at, error, error_bytes) != 0)
        return -1;
    if (change->closes_at[0] != '\0' && change_time("closes_at", &state->closes, &state->closes_ms,
                                                    change->closes_at, error, error_bytes) != 0)
        return -1;
    return check_times(state, error, error_bytes);
}

/* --- writing --- */

size_t article_state_write(const struct article_state *state, char out[ARTICLE_STATE_MAX_BYTES + 1])
{
    const size_t most = ARTICLE_STATE_MAX_BYTES + 1;
    char time[TIME_BYTES];
    size_t used =
        (size_t)snprintf(out, most, "{\"state\":\"%s\"", state->closed ? "closed" : "open");
    for (int i = 0; i < state->kinds; i++)
        used +=
            (size_t)snprintf(out + used, most - used, "%s\"%s\"%s", i == 0 ? ",\"kinds\":[" : ",",
                             state->kind[i], i == state->kinds - 1 ? "]" : "");
    if (state->opens) {
        write_time(state->opens_ms, time);
        used += (size_t)snprintf(out + used, most - used, ",\"opens_at\":\"%s\"", time);
    }
    if (state->closes) {
        write_time(state->closes_ms, time);
        used += (size_t)snprintf(out + used, most - used, ",\"closes_at\":\"%s\"", time);
    }
    used += (size_t)snprintf(out + used, most - used, "%s}",
                             state->after_close ? ",\"results\":\"after_close\"" : "");
    return used;
}

bool article_state_closed(const struct article_state *state, uint64_t unix_ms)
{
    return state->closed || (state->closes && unix_ms >= state->closes_ms);
}

/* Parses the JSON of tokens and keys with cJSON, and refuses what versions of cJSON read
 * differently. */
#include "token_json.h"

#include "core/scan.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* --- the text --- */

/* A text that is checked, and a place for each of its strings. */
struct check {
    struct scan in;
    char *string;
    size_t string_max_bytes;
};

static bool take_value(struct check *check, unsigned depth);

static bool take_string(struct check *check)
{
    struct scan_text string = {check->string, 0, check->string_max_bytes};
    return scan_string(&check->in, &string);
}

static bool take_word(struct scan *in, const char *word)
{
    while (*word != '\0')
        if (!scan_take(in, (unsigned char)*word++))
            return false;
    return true;
}

static size_t take_digits(struct scan *in)
{
    const unsigned char *begin = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return (size_t)(in->at - begin);
}

/* Whether the number from `begin` on is short enough and, if whole, fits in 64 bits. */
static bool number_fits(const unsigned char *begin, size_t bytes, bool whole)
{
    char text[TOKEN_JSON_NUMBER_MAX_BYTES + 1];

    if (bytes >= sizeof text)
        return false;
    memcpy(text, begin, bytes);
    text[bytes] = '\0';
    errno = 0;
    if (whole)
        (void)strtoll(text, NULL, 10);
    return errno == 0;
}

static bool take_number(struct scan *in)
{
    const unsigned char *begin = in->at;
    bool whole = true;

    (void)scan_take(in, '-');
    if (!scan_take(in, '0') && take_digits(in) == 0)
        return false;
    if (scan_take(in, '.')) {
        whole = false;
        if (take_digits(in) == 0)
            return false;
    }
    if (scan_take(in, 'e') || scan_take(in, 'E')) {
        whole = false;
        if (!scan_take(in, '+'))
            (void)scan_take(in, '-');
        if (take_digits(in) == 0)
            return false;
    }
    return number_fits(begin, (size_t)(in->at - begin), whole);
}

/* After the bracket: members or elements, up to `close`. */
static bool take_list(struct check *check, unsigned char close, unsigned depth)
{
    struct scan *in = &check->in;

    scan_space(in);
    if (scan_take(in, close))
        return true;
    do {
        scan_space(in);
        if (close == '}') {
            if (!take_string(check))
                return false;
            scan_space(in);
            if (!scan_take(in, ':'))
                return false;
            scan_space(in);
        }
        if (!take_value(check, depth))
            return false;
        scan_space(in);
    } while (scan_take(in, ','));
    return scan_take(in, close);
}

static bool take_value(struct check *check, unsigned depth)
{
    struct scan *in = &check->in;

    if (in->at == in->end)
        return false;
    switch (*in->at) {
    case '{':
    case '[':
        return depth < TOKEN_JSON_DEPTH_MAX &&
               take_list(check, *in->at++ == '{' ? '}' : ']', depth + 1);
    case '"':
        return take_string(check);
    case 't':
        return take_word(in, "true");
    case 'f':
        return take_word(in, "false");
    case 'n':
        return take_word(in, "null");
    default:
        return take_number(in);
    }
}

static bool is_object(const void *text, size_t bytes)
{
    struct check check = {{text, (const unsigned char *)text + bytes}, malloc(bytes), bytes};
    bool good = check.string != NULL;

    if (good) {
        scan_space(&check.in);
        good = check.in.at < check.in.end && *check.in.at == '{' && take_value(&check, 0);
        scan_space(&check.in);
        good = good && check.in.at == check.in.end;
        explicit_bzero(check.string, bytes);
    }
    free(check.string);
    return good;
}

/* --- the tree --- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts, so that the check costs no more than parsing. `names` has space for those of any object of
 * the tree. */
static bool has_no_name_twice(const cJSON *object, const char **names)
{
    const cJSON *member;
    size_t n = 0;

    cJSON_ArrayForEach(member, object) names[n++] = member->string;
    qsort(names, n, sizeof *names, compare);
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return false;
    return true;
}

/* Whether no object repeats a member, and no number exceeds a double. */
static bool tree_fits(const cJSON *value, const char **names)
{
    const cJSON *one;

    if (cJSON_IsNumber(value) && !isfinite(value->valuedouble))
        return false;
    if (cJSON_IsObject(value) && !has_no_name_twice(value, names))
        return false;
    cJSON_ArrayForEach(one, value)
    {
        if (!tree_fits(one, names))
            return false;
    }
    return true;
}

static void wipe(cJSON *value)
{
    if (value->string != NULL)
        explicit_bzero(value->string, strlen(value->string));
    if (value->valuestring != NULL)
        explicit_bzero(value->valuestring, strlen(value->valuestring));
    for (cJSON *one = value->child; one != NULL; one = one->next)
        wipe(one);
}

cJSON *token_json_object(const void *text, size_t bytes)
{
    if (!is_object(text, bytes))
        return NULL;
    cJSON *value = cJSON_ParseWithLengthOpts(text, bytes, NULL, false);
    /* A member takes four characters and a comma: "":0, */
    const char **names = calloc(bytes / 5 + 1, sizeof *names);
    bool good = value != NULL && names != NULL && tree_fits(value, names);
    free(names);
    if (good)
        return value;
    token_json_free(value);
    return NULL;
}

void token_json_free(cJSON *value)
{
    if (value != NULL)
        wipe(value);
    cJSON_Delete(value);
}

const cJSON *token_json_member(const cJSON *object, const char *name)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

const char *token_json_string(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(token_json_member(object, name));
}

/* Copies the state and replaces each part that an option names. */
#include "state_change.h"

#include "core/error.h"

#include <string.h>

static int take_word(bool *out, const char *text, const char *no, const char *yes)
{
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0 ? 0 : -1;
}

static int change_kinds(struct article_state *state, const char *list, struct error *error)
{
    struct kind_table table;
    struct error why;
    state->kinds = 0;
    if (strcmp(list, "all") == 0)
        return 0;
    if (kind_table_parse(&table, list, &why) != 0)
        return error_set(error, "option kinds: %s", why.text);
    for (int i = 1; i <= table.n; i++)
        memcpy(state->kind[state->kinds++], table.name[i], sizeof table.name[i]);
    return 0;
}

static int change_time(const char *option, uint64_t *unix_ms, const char *text, struct error *error)
{
    *unix_ms = 0;
    if (strcmp(text, "none") != 0 && article_state_time(text, unix_ms) != 0)
        return error_set(error, "option %s: %s is not a time as 2030-12-01T08:00:00Z, or none",
                         option, text);
    return 0;
}

int state_change_apply(struct article_state *state, const struct state_change *change,
                       struct error *error)
{
    if (change->state[0] != '\0' && take_word(&state->closed, change->state, "open", "closed") != 0)
        return error_set(error, "option state: %s is not open or closed", change->state);
    if (change->results[0] != '\0' &&
        take_word(&state->after_close, change->results, "always", "after_close") != 0)
        return error_set(error, "option results: %s is not always or after_close", change->results);
    if (change->kinds[0] != '\0' && change_kinds(state, change->kinds, error) != 0)
        return -1;
    if (change->opens_at[0] != '\0' &&
        change_time("opens_at", &state->opens_at_ms, change->opens_at, error) != 0)
        return -1;
    if (change->closes_at[0] != '\0' &&
        change_time("closes_at", &state->closes_at_ms, change->closes_at, error) != 0)
        return -1;
    if (state->opens_at_ms != 0 && state->closes_at_ms != 0 &&
        state->closes_at_ms <= state->opens_at_ms)
        return error_set(error, "closes_at is not after opens_at");
    return 0;
}

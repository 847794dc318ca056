/* An article's state: refused with a sentence, or understood; then, written, it says the same. */
#include "article_state.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct article_state state, again;
    char error[256] = "", out[ARTICLE_STATE_MAX_BYTES + 1];
    int rc = article_state_parse(&state, (const char *)data, bytes, error, sizeof error);
    FUZZ_CHECK((rc == 0 || rc == -1) && (rc == -1) == (error[0] != '\0'));
    if (rc != 0)
        return 0;
    FUZZ_CHECK(state.kinds >= 0 && state.kinds <= KIND_MAX);
    for (int i = 0; i < state.kinds; i++)
        FUZZ_CHECK(kind_name_valid(state.kind[i], strlen(state.kind[i])));
    FUZZ_CHECK(!state.opens || !state.closes || state.opens_ms < state.closes_ms);
    size_t used = article_state_write(&state, out);
    FUZZ_CHECK(used == strlen(out) && used <= ARTICLE_STATE_MAX_BYTES);
    FUZZ_CHECK(article_state_parse(&again, out, used, error, sizeof error) == 0);
    FUZZ_CHECK(again.closed == state.closed && again.kinds == state.kinds &&
               again.opens == state.opens && again.closes == state.closes &&
               again.after_close == state.after_close);
    FUZZ_CHECK(memcmp(again.kind, state.kind, sizeof state.kind) == 0);
    FUZZ_CHECK(!state.opens || again.opens_ms == state.opens_ms);
    FUZZ_CHECK(!state.closes || again.closes_ms == state.closes_ms);
    return 0;
}

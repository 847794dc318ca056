/* The file of the registry, of any bytes: read where it fits, imported if it does not. What is
 * known then is valid, is as many as there is room for, and stays writable;
 * a state that is whole is enforced, one that is not is closed. */
#include "core/article.h"
#include "core/bytes.h"
#include "core/crc32c.h"
#include "fuzz.h"
#include "registry.h"
#include "registry_layout.h"
#include "registry_state.h"

#define HEADER_BYTES 4096u
#define ENTRY_BYTES 296u
#define CRC_END 216u
#define COPIES 216u
#define COPY_BYTES 40u
#define PROVISIONAL 3u
#define MAX 6u
#define NOW_MS 1795510800123ull

enum {
    FIT_HEADER = 1,
    FIT_ENTRIES = 2,
    AUTO_CREATE = 4,
    OTHER_SIZE = 8,
    FIT_STATES = 16,
    OTHER_KINDS = 64,
    EVERYTHING = 128,
    FIT_NOTES = 256
};

static struct kind_table kinds, other_kinds;

/* Makes the checksums fit, so that more than the first check is reached. */
static void fit(unsigned char *memory, size_t bytes, unsigned how)
{
    if (how & FIT_HEADER)
        registry_layout_format(memory, MAX, how & OTHER_KINDS ? &other_kinds : &kinds);
    for (size_t at = HEADER_BYTES; at + ENTRY_BYTES <= bytes; at += ENTRY_BYTES) {
        if (how & FIT_ENTRIES)
            bytes_put_u32(memory + at, crc32c(0, memory + at + 12, CRC_END - 12));
        for (size_t copy = at + COPIES; copy + COPY_BYTES <= at + ENTRY_BYTES; copy += COPY_BYTES)
            if (how & FIT_STATES)
                bytes_put_u32(memory + copy, crc32c(0, memory + copy + 4, COPY_BYTES - 4));
        if ((how & FIT_NOTES) && memory[at + 8] == PROVISIONAL)
            bytes_put_u32(memory + at + COPIES, crc32c(0, memory + at + COPIES + 4, 8));
    }
}

static void check_registry(struct registry *registry, const struct registry_rules *rules)
{
    static const struct article_state closed = {.closed = true, .version = 7};
    static const char new_article[] = "new/article";
    size_t bytes = strlen(new_article);
    const struct registry_actor who = {.key = 3, .address = true, .reader = 4};
    uint32_t before = registry_count(registry);
    FUZZ_CHECK(before <= MAX && registry_damaged_states(registry) <= MAX);
    struct registry_answer answer = registry_judge(registry, new_article, bytes, 1, NOW_MS);
    FUZZ_CHECK(rules->auto_create || rules->everything || answer.verdict == REGISTRY_UNKNOWN);
    if (answer.verdict != REGISTRY_UNKNOWN) {
        registry_use(registry, &answer, new_article, bytes, &who, 1, NOW_MS);
        FUZZ_CHECK(registry_judge(registry, new_article, bytes, 1, NOW_MS).verdict ==
                   REGISTRY_KNOWN);
    }
    enum registry_outcome outcome =
        registry_set_state(registry, new_article, bytes, &closed, NOW_MS);
    FUZZ_CHECK(outcome == REGISTRY_APPLIED || (outcome == REGISTRY_NO_ROOM && before == MAX));
    answer = registry_judge(registry, new_article, bytes, 1, NOW_MS);
    FUZZ_CHECK(outcome != REGISTRY_APPLIED ||
               (answer.verdict == REGISTRY_KNOWN && !registry_state_accepts(answer.state, NOW_MS)));
    FUZZ_CHECK(registry_clear_state(registry, new_article, bytes, true) == REGISTRY_APPLIED);
    FUZZ_CHECK(registry_judge(registry, new_article, bytes, 1, NOW_MS).state == NULL);
    FUZZ_CHECK(registry_count(registry) >= before && registry_count(registry) <= MAX);
    uint32_t counted = registry_count(registry);
    registry_viewed(registry, new_article, bytes, &who);
    registry_total_gone(registry, new_article, bytes);
    FUZZ_CHECK(outcome != REGISTRY_APPLIED || registry_count(registry) == counted - 1);
    FUZZ_CHECK(registry_provisional(registry) <= registry_count(registry));
}

/* What waits to be said again can be said: it is read as it was written. */
static void check_unpassed(struct registry *registry)
{
    struct article_state state, again;
    const char *article;
    size_t bytes;
    uint32_t n = 0;
    while (registry_next_unpassed(registry, &article, &bytes, &state)) {
        char text[ARTICLE_STATE_TEXT_MAX_BYTES];
        size_t text_bytes = article_state_write(&state, NULL, 0, false, text, sizeof text);
        FUZZ_CHECK(++n <= MAX && article_valid(article, bytes));
        FUZZ_CHECK(text_bytes > 0);
        bool sane = state.opens_at_ms < 253402300800000 && state.closes_at_ms < 253402300800000 &&
                    (state.opens_at_ms == 0 || state.opens_at_ms >= 946684800000) &&
                    (state.closes_at_ms == 0 || state.closes_at_ms >= 946684800000);
        FUZZ_CHECK(!sane ||
                   (article_state_parse(&again, article, bytes, text, text_bytes) == 0 &&
                    again.kinds == state.kinds && again.closes_at_ms == state.closes_at_ms));
    }
}

static const unsigned char *entry_of(const unsigned char *memory, uint32_t i)
{
    return memory + HEADER_BYTES + (size_t)i * ENTRY_BYTES;
}

static bool has_state(const unsigned char *entry)
{
    return entry[8] != 0 && entry[8] != PROVISIONAL;
}

static bool entry_whole(const unsigned char *entry)
{
    return article_valid((const char *)entry + 13, entry[12]) &&
           crc32c(0, entry + 12, CRC_END - 12) == bytes_get_u32(entry);
}

/* Each whole entry's article is known: without auto_create those with a state alone, which all have
 * one that is whole by now. Not said of one that appears twice. */
static void check_entries(struct registry *registry, const unsigned char *memory,
                          const struct registry_rules *rules)
{
    for (uint32_t i = 0; i < MAX; i++) {
        const unsigned char *entry = entry_of(memory, i);
        uint32_t copies = 0;
        if (!entry_whole(entry))
            continue;
        for (uint32_t k = 0; k < MAX; k++)
            copies += entry_whole(entry_of(memory, k)) &&
                      memcmp(entry + 12, entry_of(memory, k) + 12, entry[12] + 1u) == 0;
        struct registry_answer answer =
            registry_judge(registry, (const char *)entry + 13, entry[12], 1, NOW_MS);
        if (copies > 1)
            continue;
        FUZZ_CHECK((answer.verdict == REGISTRY_KNOWN) ==
                   (rules->auto_create || rules->everything || has_state(entry)));
        FUZZ_CHECK((answer.state != NULL) == has_state(entry));
        if (answer.state == NULL)
            continue;
        const unsigned char *state = entry + COPIES + (entry[8] - 1) * COPY_BYTES;
        FUZZ_CHECK(entry[8] <= 2 && crc32c(0, state + 4, COPY_BYTES - 4) == bytes_get_u32(state));
        FUZZ_CHECK(registry_state_offers(answer.state, KIND_NONE));
        for (int kind = 1; kind <= kinds.n; kind++)
            (void)registry_state_offers(answer.state, kind);
        (void)registry_state_accepts(answer.state, NOW_MS);
    }
}

/* What may be forgotten is there, and was never an operator's; each is found once a round, and the
 * books of the creators stay right. */
static void check_quiet(struct registry *registry)
{
    uint32_t before = registry_provisional(registry), looks = 2 * MAX, n = 0;
    struct registry_quiet quiet;
    FUZZ_CHECK(before <= registry_count(registry));
    while (registry_next_quiet(registry, UINT64_C(1) << 50, &looks, &quiet) == REGISTRY_FOUND) {
        struct registry_answer answer =
            registry_judge(registry, quiet.article, quiet.article_bytes, 1, NOW_MS);
        FUZZ_CHECK(++n <= MAX && answer.slot < MAX && answer.state == NULL);
        FUZZ_CHECK(quiet.readers >= 0 && quiet.readers <= CREATOR_READERS_MAX);
    }
    FUZZ_CHECK(n == 0 && registry_provisional(registry) == before); /* fewer than CREATOR_KEPT */
}

static void check(struct registry *registry, const unsigned char *memory,
                  const struct registry_rules *rules)
{
    check_entries(registry, memory, rules);
    check_quiet(registry);
    check_unpassed(registry);
    check_registry(registry, rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    unsigned how = (unsigned)fuzz_number(&in, 2);
    if (kinds.n == 0 && (kind_table_parse(&kinds, "like,angry,sad", NULL) != 0 ||
                         kind_table_parse(&other_kinds, "sad,wow,like,love", NULL) != 0))
        abort();
    struct registry_rules rules = {.max = MAX,
                                   .everything = (how & EVERYTHING) != 0,
                                   .auto_create = (how & AUTO_CREATE) != 0,
                                   .auto_create_rate = limit_rate_of(60, LIMIT_SECOND_NS, 60),
                                   .forget_hours = 1,
                                   .seed = 7,
                                   .kinds = kinds};
    size_t file_bytes = how & OTHER_SIZE
                            ? fuzz_number(&in, 2) % (HEADER_BYTES + 2 * MAX * ENTRY_BYTES)
                            : registry_layout_bytes(MAX);
    unsigned char *file = calloc(1, file_bytes + 1),
                  *memory = calloc(1, registry_layout_bytes(MAX));
    if (file == NULL || memory == NULL)
        abort();
    while (in.left > 0) { /* patches: where, how many bytes, the bytes */
        size_t at = fuzz_number(&in, 2) % (file_bytes + 1), n = fuzz_number(&in, 1);
        fuzz_take(&in, file + at, n < file_bytes - at ? n : file_bytes - at);
    }
    if (file_bytes >= HEADER_BYTES)
        fit(file, file_bytes, how);

    registry_layout_format(memory, MAX, &kinds);
    struct registry *taken = registry_new(memory, &rules);
    FUZZ_CHECK(taken != NULL && registry_count(taken) == 0);
    int result = registry_import(taken, file, file_bytes);
    FUZZ_CHECK(result == 0 || (result == REGISTRY_TOO_MANY && registry_count(taken) == 0));
    check(taken, memory, &rules);
    registry_free(taken);
    if (file_bytes == registry_layout_bytes(MAX) &&
        registry_layout_fits(file, file_bytes, MAX, &kinds)) {
        struct registry *registry = registry_new(file, &rules);
        FUZZ_CHECK(registry != NULL);
        check(registry, file, &rules);
        registry_free(registry);
    }
    free(file);
    free(memory);
    return 0;
}

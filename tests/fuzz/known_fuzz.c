/* The file of known articles, of any bytes: read where it fits, taken over where it does not. What
 * is known then is valid, is as many as there is room for, and stays writable. */
#include "core/article.h"
#include "core/bytes.h"
#include "core/crc32c.h"
#include "fuzz.h"
#include "known.h"

#define HEADER_BYTES 4096u
#define ENTRY_BYTES 216u
#define MAX 6u
#define NOW_MS 1795510800123ull

enum { FIT_HEADER = 1, FIT_ENTRIES = 2 };

/* Makes the checksums fit, so that more than the first check is reached. */
static void fit(unsigned char *memory, size_t bytes, unsigned how)
{
    if (how & FIT_HEADER)
        known_format(memory, MAX);
    for (size_t at = HEADER_BYTES; how & FIT_ENTRIES && at + ENTRY_BYTES <= bytes;
         at += ENTRY_BYTES)
        bytes_put_u32(memory + at, crc32c(0, memory + at + 12, ENTRY_BYTES - 12));
}

static void check_known(struct known *known, bool auto_create)
{
    static const char new_article[] = "new/article";
    size_t bytes = strlen(new_article);
    uint32_t before = known_count(known);
    FUZZ_CHECK(before <= MAX && known_damaged(known) <= MAX);
    struct known_answer answer = known_judge(known, new_article, bytes, 1, NOW_MS);
    FUZZ_CHECK(auto_create || answer.verdict != KNOWN_MAY_BE);
    if (answer.verdict != KNOWN_NO) {
        known_use(known, &answer, new_article, bytes, 1, NOW_MS);
        FUZZ_CHECK(known_judge(known, new_article, bytes, 1, NOW_MS).verdict == KNOWN_YES);
    }
    bool stands = known_by_operator(known, new_article, bytes, NOW_MS);
    FUZZ_CHECK(stands || before == MAX);
    FUZZ_CHECK(!stands || known_judge(known, new_article, bytes, 1, NOW_MS).verdict == KNOWN_YES);
    known_by_operator_no_more(known, new_article, bytes);
    FUZZ_CHECK(known_count(known) >= before && known_count(known) <= MAX);
}

static const unsigned char *entry_of(const unsigned char *memory, uint32_t i)
{
    return memory + HEADER_BYTES + (size_t)i * ENTRY_BYTES;
}

static bool entry_whole(const unsigned char *entry)
{
    return article_valid((const char *)entry + 13, entry[12]) &&
           crc32c(0, entry + 12, ENTRY_BYTES - 12) == bytes_get_u32(entry);
}

/* Each whole entry's article is known: without auto_create the operator's alone. Not said of one
 * that stands there twice. */
static void check_entries(struct known *known, const unsigned char *memory, bool auto_create)
{
    for (uint32_t i = 0; i < MAX; i++) {
        const unsigned char *entry = entry_of(memory, i);
        uint32_t copies = 0;
        if (!entry_whole(entry))
            continue;
        for (uint32_t k = 0; k < MAX; k++)
            copies += entry_whole(entry_of(memory, k)) &&
                      memcmp(entry + 12, entry_of(memory, k) + 12, entry[12] + 1u) == 0;
        enum known_verdict verdict =
            known_judge(known, (const char *)entry + 13, entry[12], 1, NOW_MS).verdict;
        FUZZ_CHECK(copies > 1 || (verdict == KNOWN_YES) == (auto_create || entry[8] != 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct fuzz_input in = {data, bytes};
    unsigned how = (unsigned)fuzz_number(&in, 1);
    struct known_rules rules = {.max = MAX,
                                .auto_create = (how & 4) != 0,
                                .auto_create_rate = limit_rate_of(60, LIMIT_SECOND_NS, 60),
                                .seed = 7};
    size_t file_bytes =
        how & 8 ? fuzz_number(&in, 2) % (HEADER_BYTES + 2 * MAX * ENTRY_BYTES) : known_bytes(MAX);
    unsigned char *file = calloc(1, file_bytes + 1), *memory = calloc(1, known_bytes(MAX));
    if (file == NULL || memory == NULL)
        abort();
    while (in.left > 0) { /* patches: where, how many bytes, the bytes */
        size_t at = fuzz_number(&in, 2) % (file_bytes + 1), n = fuzz_number(&in, 1);
        fuzz_take(&in, file + at, n < file_bytes - at ? n : file_bytes - at);
    }
    if (file_bytes >= HEADER_BYTES)
        fit(file, file_bytes, how);

    known_format(memory, MAX);
    struct known *taken = known_new(memory, &rules);
    FUZZ_CHECK(taken != NULL && known_count(taken) == 0 &&
               known_take_over(taken, file, file_bytes) == 0);
    check_entries(taken, memory, rules.auto_create);
    check_known(taken, rules.auto_create);
    known_free(taken);
    if (file_bytes == known_bytes(MAX) && known_fits(file, file_bytes, MAX)) {
        struct known *known = known_new(file, &rules);
        FUZZ_CHECK(known != NULL);
        check_entries(known, file, rules.auto_create);
        check_known(known, rules.auto_create);
        known_free(known);
    }
    free(file);
    free(memory);
    return 0;
}

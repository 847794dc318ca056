/* Counts refusals by article in two bounded tables, and writes the JSON of ops/refusals. */
#include "refusals.h"

#include "core/slots.h"

#include "core/article.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES (REFUSALS_KNOWN + REFUSALS_UNKNOWN)

struct entry {
    char article[ARTICLE_MAX_BYTES + 1];
    uint64_t since_ms;
    uint64_t refused[REASON_COUNT];
    uint64_t last; /* number of its last refusal; 0: free */
};

struct refusals {
    struct reader_key key;
    uint64_t counted;
    struct slots *known, *unknown;
    struct entry entry[ENTRIES]; /* by slot; the unknown ones come last */
};

struct refusals *refusals_new(const struct reader_key *key, uint64_t seed)
{
    struct refusals *refusals = calloc(1, sizeof *refusals);
    if (refusals == NULL)
        return NULL;
    refusals->key = *key;
    refusals->known = slots_new(REFUSALS_KNOWN, seed);
    refusals->unknown = slots_new(REFUSALS_UNKNOWN, seed);
    if (refusals->known == NULL || refusals->unknown == NULL) {
        refusals_free(refusals);
        return NULL;
    }
    return refusals;
}

void refusals_free(struct refusals *refusals)
{
    if (refusals == NULL)
        return;
    slots_free(refusals->known);
    slots_free(refusals->unknown);
    explicit_bzero(&refusals->key, sizeof refusals->key);
    free(refusals);
}

void refusals_count(struct refusals *refusals, const char *article, size_t article_bytes,
                    bool known, enum reason reason, uint64_t unix_ms)
{
    struct slots *slots = known ? refusals->known : refusals->unknown;
    struct entry *entries = refusals->entry + (known ? 0 : REFUSALS_KNOWN);
    uint64_t key = reader_hash(&refusals->key, article, article_bytes, 'a', "", 0);
    uint32_t slot = slots_find(slots, key);

    if (slot == SLOTS_NONE) {
        slot = slots_add(slots, key);
        memset(&entries[slot], 0, sizeof entries[slot]);
        memcpy(entries[slot].article, article, article_bytes);
        entries[slot].since_ms = unix_ms;
    } else {
        slots_touch(slots, slot);
    }
    entries[slot].refused[reason]++;
    entries[slot].last = ++refusals->counted;
}

/* --- JSON --- */

struct text {
    char *out;
    size_t used, bytes;
};

static void refusals_add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void refusals_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text->out + text->used, text->bytes - text->used, format, arguments);
    va_end(arguments);
    if (n > 0)
        text->used += (size_t)n;
    if (text->used >= text->bytes)
        text->used = text->bytes - 1;
}

/* "busy":3 and so on; zero counts only if `all`. */
static void add_reasons(struct text *text, const uint64_t refused[REASON_COUNT], bool all)
{
    const char *comma = "";
    for (int reason = 0; reason < REASON_COUNT; reason++) {
        if (refused[reason] == 0 && !all)
            continue;
        refusals_add(text, "%s\"%s\":%" PRIu64, comma, reason_name(reason), refused[reason]);
        comma = ",";
    }
}

struct place {
    uint64_t last;
    const struct entry *entry;
};

static int compare_last(const void *a, const void *b)
{
    const struct place *one = a, *other = b;
    return one->last > other->last ? -1 : one->last < other->last;
}

static void add_articles(struct text *text, const struct refusals *refusals)
{
    struct place sorted[ENTRIES];
    for (size_t i = 0; i < ENTRIES; i++)
        sorted[i] = (struct place){refusals->entry[i].last, &refusals->entry[i]};
    qsort(sorted, ENTRIES, sizeof sorted[0], compare_last);
    for (size_t i = 0; i < ENTRIES && sorted[i].last > 0; i++) {
        const struct entry *entry = sorted[i].entry;
        refusals_add(text,
                     "%s{\"article\":\"%s\",\"known\":%s,\"since_ms\":%" PRIu64 ",\"refused\":{",
                     i > 0 ? "," : "", entry->article,
                     entry < refusals->entry + REFUSALS_KNOWN ? "true" : "false", entry->since_ms);
        add_reasons(text, entry->refused, false);
        refusals_add(text, "}}");
    }
}

bool refusals_differ(const struct refusals_sums *one, const struct refusals_sums *other, bool all)
{
    struct refusals_sums left = *one;
    if (!all) {
        left.creations.made = other->creations.made;
        left.known = other->known;
        left.provisional = other->provisional;
        left.forgotten = other->forgotten;
    }
    return memcmp(&left, other, sizeof left) != 0;
}

static void add_creation(struct text *text, const struct refusals_sums *sums)
{
    const struct admit_creations *creations = &sums->creations;
    refusals_add(text,
                 ",\"creation\":{\"known\":%" PRIu64 ",\"max\":%" PRIu64 ",\"provisional\":%" PRIu64
                 ",\"made\":%" PRIu64 ",\"forgotten\":%" PRIu64 ",\"refused\":{\"off\":%" PRIu64
                 ",\"reader\":%" PRIu64 ",\"address\":%" PRIu64 ",\"rate\":%" PRIu64
                 ",\"full\":%" PRIu64 "}}",
                 sums->known, sums->known_max, sums->provisional, creations->made, sums->forgotten,
                 creations->off, creations->reader, creations->address, creations->rate,
                 creations->full);
}

size_t refusals_write(const struct refusals *refusals, const struct refusals_sums *sums,
                      uint64_t unix_ms, char out[REFUSALS_JSON_MAX_BYTES])
{
    struct text text = {.bytes = REFUSALS_JSON_MAX_BYTES};

    text.out = out;
    refusals_add(&text, "{\"at_ms\":%" PRIu64 ",\"refused\":{", unix_ms);
    add_reasons(&text, sums->refused, true);
    uint64_t flooded = 0;
    for (int flood = 0; flood < FLOOD_COUNT; flood++)
        flooded += sums->flooded[flood];
    refusals_add(
        &text,
        "},\"connections\":{\"rate_address\":%" PRIu64 ",\"no_room\":%" PRIu64 ",\"flood\":%" PRIu64
        ",\"token\":%" PRIu64 ",\"rate_signature\":%" PRIu64 ",\"sessions\":%" PRIu64
        "},\"floods\":{\"reactions\":%" PRIu64 ",\"publish\":%" PRIu64 ",\"subscribe\":%" PRIu64
        ",\"packets\":%" PRIu64 "},\"receipts_dropped\":%" PRIu64,
        sums->connections_rate, sums->connections_no_room, flooded, sums->connections_token,
        sums->connections_rate_signature, sums->connections_sessions,
        sums->flooded[FLOOD_REACTIONS], sums->flooded[FLOOD_PUBLISH],
        sums->flooded[FLOOD_SUBSCRIBE], sums->flooded[FLOOD_PACKETS], sums->receipts_dropped);
    add_creation(&text, sums);
    refusals_add(&text, ",\"articles\":[");
    add_articles(&text, refusals);
    refusals_add(&text, "]}");
    return text.used;
}

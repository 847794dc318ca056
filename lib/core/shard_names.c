/* Runs of three and more are written with a hyphen. */
#include "core/shard_names.h"

#include <stdio.h>
#include <string.h>

#define LIST_BYTES (SHARD_NAMES_BYTES - sizeof "shards  of 64")

/* The number of shards from `first` on that are all named. */
static unsigned run_length(const bool *of, unsigned n, unsigned first)
{
    unsigned length = 0;
    while (first + length < n && of[first + length])
        length++;
    return length;
}

void shard_names_write(char out[SHARD_NAMES_BYTES], const bool *of, unsigned n)
{
    char list[LIST_BYTES] = "", part[32];
    unsigned named = 0, first = 0;
    bool fits = true;
    for (unsigned i = 0; i < n; i++) {
        if (!of[i])
            continue;
        unsigned length = run_length(of, n, i);
        const char *comma = named > 0 ? ", " : "";
        first = named == 0 ? i : first;
        if (length < 3)
            length = 1;
        if (length == 1)
            snprintf(part, sizeof part, "%s%u", comma, i);
        else
            snprintf(part, sizeof part, "%s%u-%u", comma, i, i + length - 1);
        size_t used = strlen(list), bytes = strlen(part);
        fits = fits && used + bytes < sizeof list;
        if (fits)
            memcpy(list + used, part, bytes + 1);
        named += length;
        i += length - 1;
    }
    if (named == 1)
        snprintf(out, SHARD_NAMES_BYTES, "shard %u", first);
    else if (fits)
        snprintf(out, SHARD_NAMES_BYTES, "shards %s of %u", list, n);
    else
        snprintf(out, SHARD_NAMES_BYTES, "%u of %u shards", named, n);
}

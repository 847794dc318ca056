/* Which articles reactions were refused on, and why (INTERFACES.md 2.8): the last
 * REFUSALS_KNOWN of known articles and, apart, so that made-up ids push none of these out, the last
 * REFUSALS_UNKNOWN of unknown ones. Counts are exact from `since` on. Pure, time comes in; one
 * thread. */
#ifndef TALLY_BROKER_PLUGIN_REFUSALS_H
#define TALLY_BROKER_PLUGIN_REFUSALS_H

#include "admit.h"

#include "core/reader.h"
#include "core/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REFUSALS_KNOWN 100
#define REFUSALS_UNKNOWN 20
/* Of what refusals_write makes: an article's id, its time, and each reason with 20 digits. */
#define REFUSALS_JSON_MAX_BYTES (1024 + (REFUSALS_KNOWN + REFUSALS_UNKNOWN) * 704)

/* What a connection was ended for going on with. */
enum flood {
    FLOOD_REACTIONS, /* that are refused */
    FLOOD_PUBLISH,   /* to other topics, denied */
    FLOOD_SUBSCRIBE, /* SUBSCRIBE and UNSUBSCRIBE */
    FLOOD_PACKETS,   /* that no plugin is told of: PINGREQ and the like */
    FLOOD_COUNT,
};

struct refusals;

/* All memory is allocated here. Articles are found by a hash by `key`; `seed` as in slots_new. NULL
 * for no memory. */
struct refusals *refusals_new(const struct reader_key *key, uint64_t seed);
void refusals_free(struct refusals *refusals); /* NULL is fine */

/* Counts one. `known`: the article is. `article` is a valid id. */
void refusals_count(struct refusals *refusals, const char *article, size_t article_bytes,
                    bool known, enum reason reason, uint64_t unix_ms);

/* What is counted elsewhere. */
struct refusals_sums {
    uint64_t refused[REASON_COUNT];
    uint64_t connections_rate;           /* connections refused by the limit of their address */
    uint64_t connections_no_room;        /* … as too many are remembered */
    uint64_t flooded[FLOOD_COUNT];       /* … ended for what they went on sending */
    uint64_t connections_sessions;       /* … refused as their address has too many sessions */
    uint64_t connections_token;          /* … refused as their token did not hold */
    uint64_t connections_rate_signature; /* … by the limit of signatures */
    uint64_t receipts_dropped;
    struct admit_creations creations;
    uint64_t known, known_max, provisional; /* articles */
    uint64_t forgotten;
};

/* Whether something was refused between the two; `all`: or articles were made known, or forgotten.
 */
bool refusals_differ(const struct refusals_sums *one, const struct refusals_sums *other, bool all);

/* Writes the JSON, NUL-terminated. Returns its length. The last refused article comes first. */
size_t refusals_write(const struct refusals *refusals, const struct refusals_sums *sums,
                      uint64_t unix_ms, char out[REFUSALS_JSON_MAX_BYTES]);

#endif

/* Article ids: MQTT paths of 1 to 8 levels (INTERFACES.md 1). Pure; any thread. */
#ifndef TALLY_CORE_ARTICLE_H
#define TALLY_CORE_ARTICLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARTICLE_MAX_BYTES 200
#define ARTICLE_MAX_LEVELS 8
#define ARTICLE_SEED_BYTES 16
#define ARTICLE_PREFIX_MAX_BYTES 64
/* Reserved for the feeds' own probes: %probe/<edge id>. No slug can begin like this, because %
 * begins an escape of two hex digits there. */
#define ARTICLE_PROBE_PREFIX "%probe/"
#define ARTICLE_PREFIX_ACCEPTS                                                                     \
    "empty, or levels of letters, digits and ._~%- that end with /, 64 bytes at most"

/* Whether the `bytes` bytes at `id` (not NUL-terminated) are a valid article id. */
bool article_valid(const char *id, size_t bytes);

/* Whether a valid article id is reserved for a probe: readers neither see it nor react to it, and
 * lists leave it out. */
bool article_is_probe(const char *id, size_t bytes);

/* Whether `prefix` may precede every topic (option topic_prefix): "", or levels in the form of an
 * article id that end with '/', at most ARTICLE_PREFIX_MAX_BYTES. */
bool article_prefix_valid(const char *prefix);

/* The shard of a valid article: CRC32C(id) mod `shards` (at least 1). */
uint32_t article_shard(const char *id, size_t bytes, uint32_t shards);

/* A hash for a table in memory (SipHash). Each table has its own random `seed`: readers choose
 * article ids, and must not be able to choose collisions. */
unsigned article_hash(const char *id, size_t bytes, const unsigned char seed[ARTICLE_SEED_BYTES]);

#endif

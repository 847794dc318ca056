/* A total as JSON (INTERFACES.md 2.2), as it goes out over MQTT and HTTP. Pure; one thread. */
#ifndef TALLY_FEED_TOTAL_JSON_H
#define TALLY_FEED_TOTAL_JSON_H

#include "core/kind.h"
#include "core/total.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The store's kinds: the name of each kind id, "" if there is none. */
struct kinds {
    char name[KIND_MAX + 1][KIND_NAME_MAX_BYTES + 1];
};

/* Whether every kind that the total counts has a name. */
bool total_json_kinds_known(const struct total *total, const struct kinds *kinds);

/* The total as an object, the caller's to delete; NULL on no memory. Kinds in the order of their
 * ids; `total` is the sum of what is named. Version 0, an article that nobody reacted to, has no
 * updated_at. */
cJSON *total_json(const char *article, size_t bytes, const struct total *total,
                  const struct kinds *kinds);

/* The object that replaces a total while its article's state hides it; likewise. */
cJSON *total_json_hidden(const char *article, size_t bytes);

/* The version of a total as JSON. False if it is not one. */
bool total_json_version(const char *payload, size_t bytes, uint64_t *version);

#endif

/* Reads tally:store. Refuses a store of another format than 1, and one whose id, shards or kinds
 * are not possible. */
#include "store_identity.h"

#include "reply.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool read_kind(struct kinds *kinds, const redisReply *name, const redisReply *id)
{
    char *end;
    unsigned long number = strtoul(id->str, &end, 10);
    const char *text = name->str + 5;
    size_t bytes = (size_t)name->len - 5;
    if (*end != '\0' || number < 1 || number > KIND_MAX || !kind_name_valid(text, bytes) ||
        kinds->name[number][0] != '\0')
        return false;
    memcpy(kinds->name[number], text, bytes);
    return true;
}

static bool read_id(struct store_identity *identity, const char *id)
{
    if (strlen(id) != STORE_IDENTITY_ID_BYTES ||
        strspn(id, "0123456789abcdef") != STORE_IDENTITY_ID_BYTES)
        return false;
    memcpy(identity->id, id, STORE_IDENTITY_ID_BYTES + 1);
    return true;
}

const char *store_identity_read(struct store_identity *identity, const redisReply *reply)
{
    const char *id = "", *format = "";
    unsigned long shards = 0;
    memset(identity, 0, sizeof *identity);
    if (reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0)
        return "no store yet: no collector has made one";
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (!reply_is_string(name) || !reply_is_string(value))
            return "tally:store is not readable";
        if (strcmp(name->str, "id") == 0)
            id = value->str;
        else if (strcmp(name->str, "format") == 0)
            format = value->str;
        else if (strcmp(name->str, "shards") == 0)
            shards = strtoul(value->str, NULL, 10);
        else if (strncmp(name->str, "kind:", 5) == 0 && !read_kind(&identity->kinds, name, value))
            return "tally:store names a kind that cannot be";
    }
    if (strcmp(format, "1") != 0)
        return "the store is of another format than 1";
    if (!read_id(identity, id) || shards < 1 || shards > STORE_IDENTITY_MAX_SHARDS)
        return "tally:store has no good id or number of shards";
    identity->shards = (uint32_t)shards;
    return NULL;
}

bool store_identity_same(const struct store_identity *one, const struct store_identity *other)
{
    return strcmp(one->id, other->id) == 0 && one->shards == other->shards;
}

bool store_identity_may_follow(const struct store_identity *now, const struct store_identity *found,
                               const char *collector)
{
    return now->id[0] == '\0' || strcmp(found->id, now->id) == 0 ||
           strcmp(found->id, collector) == 0;
}

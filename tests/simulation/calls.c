#include "calls.h"

#include <inttypes.h>
#include <stdio.h>

bool calls_told;

static void put_hex(const void *bytes, size_t n)
{
    const unsigned char *byte = bytes;
    putchar('"');
    for (size_t i = 0; i < n; i++)
        printf("%02x", byte[i]);
    putchar('"');
}

static const char *comma(bool *first)
{
    const char *text = *first ? "" : ",";
    *first = false;
    return text;
}

static void put_heads(const struct redis_shard *shard)
{
    unsigned char head[REDIS_HEAD_BYTES];
    bool first = true;
    printf("\"heads\":{");
    for (unsigned a = 0; a < WORLD_ARTICLES; a++) {
        if (!shard->head[a].exists)
            continue;
        printf("%s", comma(&first));
        put_hex(world.article[a].name, world.article[a].bytes);
        putchar(':');
        put_hex(head, redis_head_bytes(&shard->head[a], head));
    }
    first = true;
    printf("},\"changed\":{");
    for (unsigned a = 0; a < WORLD_ARTICLES; a++) {
        if (shard->changed[a] == 0)
            continue;
        printf("%s", comma(&first));
        put_hex(world.article[a].name, world.article[a].bytes);
        printf(":%" PRIu64, shard->changed[a]);
    }
    putchar('}');
}

/* Of each register its article's number and bucket, and field and value as they are stored. */
static void put_registers(const struct redis_shard *shard)
{
    bool first = true;
    printf("\"registers\":[");
    for (uint32_t i = 0; i < shard->registers; i++) {
        const struct redis_register *reg = &shard->reg[i];
        unsigned char field[8], value[7];
        for (int byte = 0; byte < 8; byte++)
            field[byte] = (unsigned char)(reg->reader >> 8 * byte);
        for (int byte = 0; byte < 7; byte++)
            value[byte] = (unsigned char)(reg->value >> 8 * (6 - byte));
        printf("%s[%" PRIu32 ",%" PRIu32 ",", comma(&first), reg->number, reg->bucket);
        put_hex(field, sizeof field);
        putchar(',');
        put_hex(value, sizeof value);
        putchar(']');
    }
    putchar(']');
}

static void put_rings(const struct redis_shard *shard)
{
    unsigned char value[REDIS_RING_BYTES];
    bool first = true;
    printf("\"rings\":{");
    for (int i = 0; i < REDIS_RINGS; i++) {
        if (shard->ring[i].id == 0)
            continue;
        printf("%s\"%016" PRIx64 "\":", comma(&first), shard->ring[i].id);
        redis_ring_bytes(&shard->ring[i], value);
        put_hex(value, sizeof value);
    }
    putchar('}');
}

static void put_state(unsigned number)
{
    const struct redis_shard *shard = redis_shard(number);
    printf("{\"version\":%" PRIu64 ",\"articles\":%" PRIu32 ",", shard->version, shard->articles);
    if (shard->store != 0)
        printf("\"store\":\"%016" PRIx64 "\",", shard->store);
    if (shard->pause_to != 0)
        printf("\"pause\":\"%" PRIu64 " %" PRIu64 " %016" PRIx64 "\",", shard->pause_from,
               shard->pause_to, shard->pause_whose);
    put_heads(shard);
    putchar(',');
    put_registers(shard);
    putchar(',');
    put_rings(shard);
    putchar('}');
}

/* A Redis alone cannot do what a cluster does while a slot moves. */
static bool is_told(unsigned shard)
{
    return calls_told && redis.moves_to[shard] < 0;
}

void calls_before(unsigned shard, const struct redis_words *words)
{
    int poisoned = redis.poisoned[shard];
    if (!is_told(shard))
        return;
    printf("{\"seed\":%" PRIu64 ",\"now\":%" PRIu64 ",", world.seed, world_redis_us());
    if (poisoned >= 0) {
        printf("\"poisoned\":");
        put_hex(world.article[poisoned].name, world.article[poisoned].bytes);
        putchar(',');
    }
    printf("\"before\":");
    put_state(shard);
    printf(",\"words\":[");
    for (int i = 0; i < words->n; i++) {
        printf("%s", i == 0 ? "" : ",");
        put_hex(words->word[i], words->bytes[i]);
    }
    printf("],");
}

void calls_after(unsigned shard, const struct redis_reply *reply)
{
    const redisReply *all = &reply->node[0];
    if (!is_told(shard))
        return;
    printf("\"answer\":[");
    for (size_t i = 0; i < all->elements; i++) {
        const redisReply *part = all->element[i];
        printf("%s", i == 0 ? "" : ",");
        if (part->type == REDIS_REPLY_INTEGER)
            printf("%lld", part->integer);
        else
            put_hex(part->str, part->len);
    }
    printf("],\"after\":");
    put_state(shard);
    printf("}\n");
}

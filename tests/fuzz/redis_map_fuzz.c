/* Answers to CLUSTER SLOTS, CLUSTER INFO and a Sentinel's: refused, or a map whose every index and
 * address is within its bounds. Any well-formed answer may come, of any type and depth. */
#include "fuzz.h"
#include "redis/redis_map.h"

static void check_map(const struct redis_map *map)
{
    FUZZ_CHECK(map->n <= REDIS_NODES_MAX && map->n_known <= REDIS_MAP_KNOWN_MAX);
    for (unsigned place = 0; place < REDIS_PLACES; place++)
        FUZZ_CHECK(map->of[place] >= -1 && map->of[place] < (int)map->n);
    for (unsigned i = 0; i < map->n; i++) {
        const char *host = map->owner[i].host;
        FUZZ_CHECK(host[0] != '\0' && memchr(host, 0, sizeof map->owner[i].host) != NULL);
        FUZZ_CHECK(map->owner[i].port > 0 && map->owner[i].port <= 65535);
        for (unsigned k = 0; k < i; k++)
            FUZZ_CHECK(!redis_map_same(&map->owner[i], &map->owner[k]));
    }
}

static void check(const redisReply *reply)
{
    static struct redis_map map, again;
    struct redis_address asked;
    struct redis_view view;
    memset(&map, 0, sizeof map); /* nothing is written beyond what a map holds */
    memset(&again, 0, sizeof again);
    unsigned slots[REDIS_PLACES];
    redis_map_slots(slots, "tally:");
    FUZZ_CHECK(redis_map_address(&asked, "asked", 1));
    if (redis_map_read_slots(&map, reply, slots, &asked, NULL) == 0) {
        check_map(&map);
        FUZZ_CHECK(redis_map_read_slots(&again, reply, slots, &asked, NULL) == 0 &&
                   memcmp(&map, &again, sizeof map) == 0);
    }
    if (redis_map_read_sentinel(&map, reply, NULL) == 0) {
        check_map(&map);
        FUZZ_CHECK(map.n == 1);
    }
    redis_map_read_view(&view, reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    void *reply = NULL;
    redisReader *reader = redisReaderCreate();
    if (reader == NULL)
        abort();
    redisReaderFeed(reader, (const char *)data, bytes);
    if (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
        check(reply);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
    return 0;
}

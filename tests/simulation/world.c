#include "world.h"

#include "core/article.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct world world;

static void name_article(unsigned i, const char *name)
{
    snprintf(world.article[i].name, WORLD_NAME_BYTES, "%s", name);
    world.article[i].bytes = strlen(world.article[i].name);
    world.article[i].shard =
        article_shard(world.article[i].name, world.article[i].bytes, world.shards);
}

/* Short and long ones: records of 64 to 432 bytes, so that rings of 4 KiB wrap. */
static void name_articles(void)
{
    char name[WORLD_NAME_BYTES];
    name_article(0, "world/migrant-caravan");
    name_article(1, "post/1");
    memset(name, 'x', ARTICLE_MAX_BYTES);
    name[ARTICLE_MAX_BYTES] = '\0';
    memcpy(name, "long/", 5);
    name_article(2, name);
    name[121] = '\0';
    memcpy(name, "half/", 5);
    name_article(3, name);
}

static void name_readers(void)
{
    for (int i = 0; i < READER_KEY_BYTES; i++)
        world.key.bytes[i] = (unsigned char)i;
    for (unsigned r = 0; r < WORLD_READERS; r++) {
        char name[32];
        int bytes = snprintf(name, sizeof name, "reader-number-%04u", r);
        for (unsigned a = 0; a < WORLD_ARTICLES; a++)
            world.hash[r][a] = reader_hash(&world.key, world.article[a].name,
                                           world.article[a].bytes, 'u', name, (size_t)bytes);
    }
}

bool world_is_narrow(uint64_t seed)
{
    struct dice dice = {seed};
    return dice_percent(&dice, 20);
}

enum world_redis world_redis = WORLD_REDIS_ANY;
unsigned world_edges;

bool world_is_cluster(uint64_t seed)
{
    struct dice dice = {seed ^ 0x636c7573746572ull};
    return world_redis == WORLD_REDIS_CLUSTER ||
           (world_redis == WORLD_REDIS_ANY && dice_percent(&dice, 75));
}

/* With separate dice: worlds of one Redis stay as they are. */
static void begin_cluster(uint64_t seed)
{
    struct dice dice = {seed ^ 0x6e6f646573ull}, module = {seed ^ 0x6d6f64756c65ull};
    world.accelerates = dice_percent(&module, 50);
    world.cluster = world_is_cluster(seed);
    if (!world.cluster)
        return;
    world.seed_server = dice_below(&dice, WORLD_SERVERS);
    world.replicas = dice_percent(&dice, 40);
}

bool world_kinds_differ(uint64_t seed)
{
    struct dice dice = {seed ^ 0x6b696e6473ull};
    return world_is_cluster(seed) && dice_percent(&dice, 40);
}

bool world_learn_kind(unsigned edge)
{
    struct kind_table *kinds = &world.edge[edge].kinds;
    if (kinds->n == WORLD_KINDS)
        return false;
    const char *name = world.kinds.name[world.edge[edge].order[kinds->n]];
    kind_table_add(kinds, name, strlen(name));
    return true;
}

unsigned world_kind(unsigned edge, unsigned kind)
{
    return kind == KIND_NONE || kind > WORLD_KINDS ? kind : world.edge[edge].order[kind - 1];
}

static void begin_kinds(uint64_t seed)
{
    struct dice dice = {seed ^ 0x6f72646572ull};
    world.kinds_differ = world_kinds_differ(seed);
    for (unsigned e = 0; e < WORLD_EDGES; e++) {
        unsigned *order = world.edge[e].order;
        for (unsigned i = 0; i < WORLD_KINDS; i++) {
            unsigned other = world.kinds_differ ? dice_below(&dice, i + 1) : i;
            order[i] = order[other];
            order[other] = i + 1;
        }
        kind_table_init(&world.edge[e].kinds);
        unsigned n = world.kinds_differ ? 1 + dice_below(&dice, WORLD_KINDS) : WORLD_KINDS;
        while (n-- > 0)
            world_learn_kind(e);
    }
}

void world_begin(uint64_t seed)
{
    static const char *const kinds[WORLD_KINDS] = {"like", "sad", "wow"};
    bool tells = world.tells;
    memset(&world, 0, sizeof world);
    world.tells = tells;
    world.seed = seed;
    world.dice.state = seed * 0x2545f4914f6cdd1dull + 1;
    world.edges = 1 + dice_percent(&world.dice, 30);
    world.shards = 1 + dice_percent(&world.dice, 60);
    world.articles = 1 + dice_below(&world.dice, WORLD_ARTICLES);
    world.readers = 1 + dice_below(&world.dice, WORLD_READERS);
    world.requests = WORLD_KINDS + 1;
    if (world_is_narrow(seed)) {
        world.edges = 2;
        world.shards = 1;
        world.articles = world.readers = 1;
        world.requests = 2;
    }
    if (world_edges != 0)
        world.edges = world_edges;
    world.batch_records = 1 + dice_below(&world.dice, 6);
    world.in_flight = 1 + dice_below(&world.dice, 4);
    world.ring_bytes = dice_percent(&world.dice, 80) ? 4096 : 8192;
    world.max_articles = dice_percent(&world.dice, 85) ? 1000 : 2;
    world.republish_rate = dice_percent(&world.dice, 50) ? 2000 : 20;
    world.publish_rate = world.republish_rate == 20 ? 10 : 5000;
    world.audit_per_minute = dice_percent(&world.dice, 30) ? 600 : 0;
    begin_cluster(seed);
    kind_table_init(&world.kinds);
    for (int i = 0; i < WORLD_KINDS; i++)
        kind_table_add(&world.kinds, kinds[i], strlen(kinds[i]));
    begin_kinds(seed);
    name_articles();
    name_readers();
}

uint64_t world_true_us(void)
{
    return WORLD_START_UNIX_MS * 1000 + world.us;
}

uint64_t world_edge_ms(unsigned edge)
{
    return (uint64_t)((int64_t)(world_true_us() / 1000) + world.edge_ahead_ms[edge]);
}

/* No two servers' clocks ever say the same, as no two real ones would twice. */
uint64_t world_server_us(unsigned server)
{
    return (uint64_t)((int64_t)world_true_us() + world.server_ahead_ms[server] * 1000) +
           server * 137;
}

uint64_t world_redis_us(void)
{
    return world_server_us(world.server);
}

uint64_t world_id(void)
{
    struct dice dice = {world.seed ^ ++world.ids << 40};
    return dice_roll(&dice) | 1;
}

int world_find_article(const char *name, size_t bytes)
{
    for (unsigned i = 0; i < WORLD_ARTICLES; i++)
        if (world.article[i].bytes == bytes && memcmp(world.article[i].name, name, bytes) == 0)
            return (int)i;
    return -1;
}

int world_find_reader(int article, uint64_t hash)
{
    for (int i = 0; article >= 0 && i < WORLD_READERS; i++)
        if (world.hash[i][article] == hash)
            return i;
    return -1;
}

void world_wrong(const char *format, ...)
{
    va_list arguments;
    if (world.wrong[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(world.wrong, sizeof world.wrong, format, arguments);
    va_end(arguments);
    world_tell("WRONG: %s", world.wrong);
}

void world_tell(const char *format, ...)
{
    va_list arguments;
    if (!world.tells)
        return;
    printf("    %9.3f  ", (double)world.us / 1e6);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

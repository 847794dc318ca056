/* An answer is foreign input: an answer of an unexpected form is refused as a whole. A server
 * without a usable address is accepted, but owns nothing. */
#include "redis/redis_map.h"

#include "redis/redis_info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool redis_map_address(struct redis_address *address, const char *host, long long port)
{
    size_t bytes = strlen(host);
    if (bytes == 0 || bytes >= sizeof address->host || port < 0 || port > 65535)
        return false;
    memset(address, 0, sizeof *address);
    memcpy(address->host, host, bytes);
    address->port = (int)port;
    return true;
}

bool redis_map_same(const struct redis_address *a, const struct redis_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* --- slots --- */

/* CRC-16/XMODEM. Some twenty bytes are hashed, once: no table. */
static unsigned crc16(const char *text, size_t bytes)
{
    unsigned crc = 0;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= (unsigned)(unsigned char)text[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000u) != 0 ? (crc << 1 ^ 0x1021u) & 0xffffu : crc << 1;
    }
    return crc;
}

unsigned redis_map_slot(const char *key, size_t bytes)
{
    const char *open = memchr(key, '{', bytes);
    if (open != NULL) {
        size_t left = bytes - (size_t)(open + 1 - key);
        const char *close = memchr(open + 1, '}', left);
        if (close != NULL && close > open + 1)
            return crc16(open + 1, (size_t)(close - open - 1)) % REDIS_MAP_SLOTS;
    }
    return crc16(key, bytes) % REDIS_MAP_SLOTS;
}

void redis_map_slots(unsigned slots[REDIS_PLACES], const char *prefix)
{
    for (unsigned place = 0; place < REDIS_PLACES; place++) {
        char key[REDIS_KEY_BYTES];
        redis_key(key, prefix, place, "meta");
        slots[place] = redis_map_slot(key, strlen(key));
    }
}

/* --- maps --- */

void redis_map_none(struct redis_map *map)
{
    map->n = map->n_known = 0;
    memset(map->of, -1, sizeof map->of);
}

/* A map has room for 128 hosts, of which most have six. */
void redis_map_copy(struct redis_map *to, const struct redis_map *from)
{
    to->n = from->n;
    to->n_known = from->n_known;
    memcpy(to->of, from->of, sizeof to->of);
    memcpy(to->owner, from->owner, from->n * sizeof to->owner[0]);
    memcpy(to->known, from->known, from->n_known * sizeof to->known[0]);
}

static void know(struct redis_map *map, const struct redis_address *at)
{
    for (unsigned i = 0; i < map->n_known; i++)
        if (redis_map_same(&map->known[i], at))
            return;
    if (map->n_known < REDIS_MAP_KNOWN_MAX)
        map->known[map->n_known++] = *at;
}

/* Its index, or -1: too many. */
static signed char owner_of(struct redis_map *map, const struct redis_address *at)
{
    for (unsigned i = 0; i < map->n; i++)
        if (redis_map_same(&map->owner[i], at))
            return (signed char)i;
    if (map->n == REDIS_NODES_MAX)
        return -1;
    map->owner[map->n] = *at;
    return (signed char)map->n++;
}

void redis_map_fix(struct redis_map *map, const struct redis_address *owner)
{
    redis_map_none(map);
    know(map, owner);
    memset(map->of, owner_of(map, owner), sizeof map->of);
}

bool redis_map_differs(const struct redis_map *a, const struct redis_map *b, unsigned place)
{
    int one = a->of[place], other = b->of[place];
    if (one < 0 || other < 0)
        return one != other;
    return !redis_map_same(&a->owner[one], &b->owner[other]);
}

/* --- answers --- */

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

static bool is_word(const redisReply *reply, const char *word)
{
    return is_text(reply) && reply->len == strlen(word) &&
           memcmp(reply->str, word, reply->len) == 0;
}

/* The value of `name` in a list of names and values; NULL: none. */
static const redisReply *value_of(const redisReply *list, const char *name)
{
    if (list->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < list->elements; i += 2)
        if (is_word(list->element[i], name))
            return list->element[i + 1];
    return NULL;
}

/* The server's host. NULL or empty means that the server does not know its own host: it is the one
 * that was asked. "?" means that it should have a name and has none: then its address counts, which
 * is among what follows. */
static const char *host_of(const redisReply *server, const struct redis_address *asked)
{
    const redisReply *host = server->element[0];
    if (host->type == REDIS_REPLY_NIL || (is_text(host) && host->len == 0))
        return asked->host;
    if (is_word(host, "?")) {
        host = server->elements >= 4 ? value_of(server->element[3], "ip") : NULL;
        if (host == NULL)
            return NULL;
    }
    return is_text(host) && strlen(host->str) == host->len ? host->str : NULL;
}

/* Returns 1; 0: no usable address; -1: not a server at all. */
static int read_server(struct redis_address *at, const redisReply *server,
                       const struct redis_address *asked)
{
    if (server->type != REDIS_REPLY_ARRAY || server->elements < 2 ||
        server->element[1]->type != REDIS_REPLY_INTEGER)
        return -1;
    const char *host = host_of(server, asked);
    return host != NULL && server->element[1]->integer > 0 &&
           redis_map_address(at, host, server->element[1]->integer);
}

static bool slots_valid(const redisReply *row)
{
    return row->type == REDIS_REPLY_ARRAY && row->elements >= 3 &&
           row->element[0]->type == REDIS_REPLY_INTEGER &&
           row->element[1]->type == REDIS_REPLY_INTEGER && row->element[0]->integer >= 0 &&
           row->element[0]->integer <= row->element[1]->integer &&
           row->element[1]->integer < REDIS_MAP_SLOTS;
}

static bool has_place(const redisReply *row, const unsigned slots[REDIS_PLACES], unsigned place)
{
    return slots[place] >= (unsigned)row->element[0]->integer &&
           slots[place] <= (unsigned)row->element[1]->integer;
}

/* A range of slots: first, last, the owner, its replicas. */
static int read_row(struct redis_map *map, const redisReply *row,
                    const unsigned slots[REDIS_PLACES], const struct redis_address *asked)
{
    struct redis_address at;
    if (!slots_valid(row))
        return -1;
    int owner = read_server(&at, row->element[2], asked);
    if (owner < 0)
        return -1;
    if (owner > 0) {
        signed char number = -1;
        know(map, &at);
        for (unsigned place = 0; place < REDIS_PLACES; place++)
            if (has_place(row, slots, place))
                map->of[place] = number = number < 0 ? owner_of(map, &at) : number;
    }
    for (size_t i = 3; i < row->elements; i++)
        if (read_server(&at, row->element[i], asked) > 0)
            know(map, &at);
    return 0;
}

int redis_map_read_slots(struct redis_map *map, const redisReply *reply,
                         const unsigned slots[REDIS_PLACES], const struct redis_address *asked,
                         struct error *error)
{
    redis_map_none(map);
    if (reply->type == REDIS_REPLY_ERROR)
        return error_set(error, "%s", reply->str);
    if (reply->type != REDIS_REPLY_ARRAY)
        return error_set(error, "the reply to CLUSTER SLOTS is not a list");
    for (size_t i = 0; i < reply->elements; i++)
        if (read_row(map, reply->element[i], slots, asked) != 0)
            return error_set(error, "range %zu of the reply to CLUSTER SLOTS is invalid", i);
    return 0;
}

int redis_map_read_sentinel(struct redis_map *map, const redisReply *reply, struct error *error)
{
    struct redis_address at;
    redis_map_none(map);
    if (reply->type == REDIS_REPLY_ERROR)
        return error_set(error, "%s", reply->str);
    if (reply->type == REDIS_REPLY_NIL)
        return error_set(error, "the Sentinel does not know this name");
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return error_set(error, "the Sentinel's answer is not a host and a port");
    char *end;
    long port = strtol(reply->element[1]->str, &end, 10);
    if (*end != '\0' || port == 0 || strlen(reply->element[0]->str) != reply->element[0]->len ||
        !redis_map_address(&at, reply->element[0]->str, port))
        return error_set(error, "the Sentinel's answer has no usable address");
    redis_map_fix(map, &at);
    return 0;
}

/* --- which answer to believe --- */

static void read_epoch(struct redis_view *view, const char *digits)
{
    if (digits[0] < '0' || digits[0] > '9')
        return;
    view->epoch = strtoull(digits, NULL, 10);
    view->has_epoch = true;
}

void redis_map_read_view(struct redis_view *view, const redisReply *reply)
{
    *view = (struct redis_view){.sound = true};
    if (reply->type == REDIS_REPLY_ARRAY) {
        const redisReply *epoch = value_of(reply, "config-epoch");
        if (epoch != NULL && is_text(epoch))
            read_epoch(view, epoch->str);
    } else if (is_text(reply)) {
        const char *state = redis_info_value(reply->str, "cluster_state");
        const char *epoch = redis_info_value(reply->str, "cluster_current_epoch");
        if (state != NULL)
            view->sound = strncmp(state, "ok", 2) == 0;
        if (epoch != NULL)
            read_epoch(view, epoch);
    }
}

bool redis_map_believe(struct redis_belief *belief, const struct redis_view *view, uint64_t now_ms)
{
    bool fresh = belief->any && now_ms - belief->at_ms < REDIS_BELIEF_MS;
    if (fresh && (!view->sound || (view->has_epoch && view->epoch < belief->epoch)))
        return false;
    belief->any = true;
    belief->at_ms = now_ms;
    if (view->has_epoch)
        belief->epoch = view->epoch;
    return true;
}

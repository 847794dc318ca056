/* Plays redis_nodes in a test: keeps what was sent, until the test answers it. Include it once,
 * after unit.h: the linker takes these functions instead of the library's. */
#ifndef TALLY_COLLECTOR_TESTS_FAKE_NODES_H
#define TALLY_COLLECTOR_TESTS_FAKE_NODES_H

#include "redis/redis_nodes.h"

#include <string.h>

#define FAKE_SENT_MAX 64
#define FAKE_WORD_BYTES 64

struct fake_sent {
    unsigned place; /* of redis_nodes_send */
    bool guarded;   /* the answer counts only in this generation */
    uint64_t generation;
    redis_link_cb *fn;
    void *user;
    int words;
    char word[10][FAKE_WORD_BYTES]; /* their beginnings */
};

struct redis_nodes {
    uint64_t generation; /* of every place */
    bool down, cluster;
    unsigned resets; /* of nodes */
    int owner[REDIS_PLACES];
    size_t n;
    struct fake_sent sent[FAKE_SENT_MAX]; /* not answered yet, the oldest first */
};

static int fake_keep(struct redis_nodes *nodes, unsigned place, bool guarded, redis_link_cb *fn,
                     void *user, int argc, const char **argv, const size_t *bytes)
{
    if (nodes->down || nodes->n == FAKE_SENT_MAX)
        return -1;
    struct fake_sent *sent = &nodes->sent[nodes->n++];
    *sent = (struct fake_sent){.place = place,
                               .guarded = guarded,
                               .generation = nodes->generation,
                               .fn = fn,
                               .user = user,
                               .words = argc};
    for (int i = 0; i < argc && i < 10; i++)
        memcpy(sent->word[i], argv[i],
               bytes[i] < FAKE_WORD_BYTES - 1 ? bytes[i] : FAKE_WORD_BYTES - 1);
    return 0;
}

/* Answers the oldest command, and returns it. As in redis_nodes, an answer to redis_nodes_send does
 * not survive its generation. */
static inline struct fake_sent fake_answer(struct redis_nodes *nodes, const redisReply *reply)
{
    struct fake_sent sent = nodes->sent[0];
    memmove(nodes->sent, nodes->sent + 1, --nodes->n * sizeof nodes->sent[0]);
    bool late = sent.guarded && sent.generation != nodes->generation;
    sent.fn(sent.user, late ? NULL : reply);
    return sent;
}

int redis_nodes_send(struct redis_nodes *nodes, unsigned place, redis_link_cb *fn, void *user,
                     int argc, const char **argv, const size_t *bytes)
{
    return fake_keep(nodes, place, true, fn, user, argc, argv, bytes);
}

int redis_nodes_send_node(struct redis_nodes *nodes, unsigned node, redis_link_cb *fn, void *user,
                          int argc, const char **argv, const size_t *bytes)
{
    return fake_keep(nodes, node, false, fn, user, argc, argv, bytes);
}

bool redis_nodes_up(const struct redis_nodes *nodes, unsigned node)
{
    (void)node;
    return !nodes->down;
}

uint64_t redis_nodes_generation(const struct redis_nodes *nodes, unsigned place)
{
    (void)place;
    return nodes->generation;
}

int redis_nodes_owner(const struct redis_nodes *nodes, unsigned place)
{
    return nodes->down ? -1 : nodes->owner[place];
}

bool redis_nodes_cluster(const struct redis_nodes *nodes)
{
    return nodes->cluster;
}

unsigned redis_nodes_awaited(const struct redis_nodes *nodes)
{
    return (unsigned)nodes->n;
}

uint64_t redis_nodes_reconnects(const struct redis_nodes *nodes)
{
    (void)nodes;
    return 0;
}

int redis_nodes_set_password(struct redis_nodes *nodes, const char *password)
{
    (void)nodes;
    (void)password;
    return 0;
}

void redis_nodes_reset_node(struct redis_nodes *nodes, unsigned node, const char *why)
{
    (void)node;
    (void)why;
    nodes->resets++;
}

const char *redis_nodes_prefix(const struct redis_nodes *nodes)
{
    (void)nodes;
    return "t:";
}

bool redis_nodes_moving(struct redis_nodes *nodes, const char *error)
{
    (void)nodes;
    return error != NULL && strncmp(error, "MOVED ", 6) == 0;
}

#endif

/* The spool's directories: ring files as memory and as they are on the disk, what the producer does
 * with them (after lib/spool/spool_producer.c and ring_file.c), and the consumer's functions of
 * spool_consumer.h, which the real collector calls (after spool_consumer.c). A producer can be
 * killed between any two steps; a power loss leaves each sector as it is on the disk or in memory.
 */
#ifndef TALLY_SIMULATION_FILES_H
#define TALLY_SIMULATION_FILES_H

#include "world.h"

#include "spool/ring.h"
#include "spool/ring_producer.h"
#include "spool/spool_consumer.h"
#include "spool/spool_edge.h"

#include <stdbool.h>
#include <stdint.h>

#define FILES_MAX (20 * WORLD_EDGES)
#define FILES_RING_MAX_BYTES (RING_HEADER_BYTES + 8192u)
#define FILES_WAKE_FD 7

enum files_name { FILES_NONE, FILES_RING, FILES_NEW, FILES_OLD, FILES_BAD };

struct files_ring {
    enum files_name name; /* FILES_NONE with maps: deleted, and still mapped */
    bool used;
    unsigned edge, shard, maps;
    uint64_t id; /* in the name of an old one */
    uint64_t bytes;
    bool power_lost; /* since it was made: it is scanned whole, and never continued */
    _Alignas(128) unsigned char memory[FILES_RING_MAX_BYTES];
    unsigned char disk[FILES_RING_MAX_BYTES];
};

struct files_edge {
    struct spool_edge edge;
    _Alignas(128) unsigned char memory[SPOOL_EDGE_BYTES];
    unsigned char disk[SPOOL_EDGE_BYTES];
    unsigned boot;
    unsigned wake_bytes; /* in the FIFO */
    bool producer;       /* the broker has the spool */
    bool consumer;       /* a collector has it … */
    bool asleep;         /* … and lay down to be woken */
    struct ring_producer ring[WORLD_SHARDS];
    int file[WORLD_SHARDS]; /* that the producer writes; -1 none */
};

extern struct files_edge files_edge[WORLD_EDGES];
extern struct files_ring files[FILES_MAX];

void files_begin(void);

/* The producer opens the spool, or tends it: at most `steps` steps (-1: all), then it is killed.
 * False where it was. */
bool files_produce(unsigned edge, int steps);
bool files_tend(unsigned edge, int steps);
void files_producer_dies(unsigned edge);
void files_consumer_dies(unsigned edge);

/* The producer's ring of a shard, or NULL; and the wake-up after an append. */
struct ring_producer *files_producer(unsigned edge, unsigned shard);
void files_wake(unsigned edge);

/* Some sectors reach the disk. */
void files_write_back(unsigned edge);

/* The host loses power: everything is as the disk and chance have it. The processes are the
 * caller's to kill. */
void files_power_loss(unsigned edge);

/* Bytes of a ring's data are changed. False if there is no ring with data. */
bool files_damage(unsigned edge);

/* The ring file with this id that is not deleted (a current or an old one), or NULL. */
struct files_ring *files_find(uint64_t ring_id);

#endif

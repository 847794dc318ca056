/* Who of the modelled servers has what: the table of parts, which each server knows as far as it
 * has heard, failovers, slots that move, servers that hang or are cut off. A single Redis is server
 * 0. One thread. */
#ifndef TALLY_SIMULATION_CLUSTER_H
#define TALLY_SIMULATION_CLUSTER_H

#include "redis.h"
#include "redis_reply.h"

#include <stdbool.h>

#define CLUSTER_WORDS_BYTES 64

/* Where it listens: "10.0.0.1" to "10.0.0.6", and 7001 to 7006. Whose port that is; 0: of none. */
const char *cluster_host(unsigned server);
int cluster_port(unsigned server);
unsigned cluster_of_port(int port);

/* How many servers there are. */
unsigned cluster_all(void);

/* Whether what the edge sends arrives at the server, and is answered. */
bool cluster_reached(unsigned edge, unsigned server);

/* Why the server does not run a command about this part (below 0: it has no key; -2: it has keys
 * of several), or NULL. `words` may be used for it. */
const char *cluster_refuse(unsigned server, int part, char words[CLUSTER_WORDS_BYTES]);

/* CLUSTER SLOTS and CLUSTER INFO, as the server knows. */
void cluster_answer_slots(struct redis_reply *reply);
void cluster_answer_info(struct redis_reply *reply);

/* Who owns the part by an answer to CLUSTER SLOTS; -1: the answer says nothing of it. */
int cluster_owner_in(const redisReply *slots, unsigned part);

/* --- what happens to them --- */

/* Replicas get commits: of each server at random, or (`all`) all of them. */
void cluster_replicate(bool all);

/* The replica of a master that had none is there again. */
void cluster_attach(unsigned server);

/* Servers that hear of the others learn the table: at random, or all of them. A master that was
 * followed by another one is its replica then. */
void cluster_gossip(bool all);

/* The replica of the part's owner becomes the master, without the commits that it has not got.
 * False: it cannot. */
bool cluster_fail_over(unsigned part);

/* The part's slot is on its way to another master, or has arrived there. `at_once`: both. */
void cluster_move(unsigned part, bool at_once);

/* The process starts; it is killed, and its connections end. */
void cluster_start(unsigned server);
void cluster_die(unsigned server);

/* Everything runs, reaches everything, and knows the truth. */
void cluster_mend(void);

#endif

/* The readers' widgets and the network between them and the brokers. A widget keeps its last
 * request on each article until a receipt tells what became of it, and sends it again, with its
 * age. One thread. */
#ifndef TALLY_SIMULATION_READER_H
#define TALLY_SIMULATION_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READER_SENDS_MAX 160 /* messages of a schedule */

void reader_begin(void);

/* A click: `kind` 0 takes the reaction back. It is sent at once; whether it arrives is another
 * matter. */
void reader_click(unsigned reader, unsigned article, int kind, unsigned edge);

/* Sends a request that has no receipt once more. False if there is none. `plain`: without its
 * age, as a library's own redelivery is. */
bool reader_repeat(unsigned reader, unsigned article, unsigned edge, bool plain);

/* The network does something with one of the messages under way: it arrives, or is lost, or arrives
 * and stays under way, by the dice. False where nothing is under way. `gentle`: it arrives. `torn`:
 * its broker is killed while it appends it. */
bool reader_network(bool gentle, bool torn);

/* A receipt comes from the broker; it may be lost. */
void reader_receipt(const char *client, const char *payload, const unsigned char *correlation,
                    size_t bytes);

/* In how many of 100 cases a receipt, and a message, is lost. */
extern uint32_t reader_loses_percent;

/* Every request was settled; repeats those that were not, where `repeat`. */
bool reader_settled(bool repeat);

#endif

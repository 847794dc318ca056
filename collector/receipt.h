/* Receipts (INTERFACES.md 2.3): report the outcome of a reaction to its sender. A bounded number
 * waits while the broker is away or slow; further ones are dropped and counted, because the widget
 * asks again. One thread. */
#ifndef TALLY_COLLECTOR_RECEIPT_H
#define TALLY_COLLECTOR_RECEIPT_H

#include "core/record.h"
#include "daemon/mqtt_link.h"

#include <stddef.h>
#include <stdint.h>

#define RECEIPT_WAITING_MAX 8192
#define RECEIPT_PAYLOAD_MAX_BYTES 384

struct receipt_box;

/* `prefix` is copied; NULL on no memory. Nothing is sent before receipt_connect; the caller keeps
 * ownership of the link. */
struct receipt_box *receipt_new(const char *prefix);
void receipt_free(struct receipt_box *box);
void receipt_connect(struct receipt_box *box, struct mqtt_link *link);

/* The payload. `request` is the kind's name or "none"; `current` is the register's value if it
 * differs, NULL if the register holds the request. Returns its length. Pure. */
size_t receipt_write(char out[RECEIPT_PAYLOAD_MAX_BYTES], const struct record *record,
                     const char *request, const char *current);

/* Answers a record that has a client id: now, or once the broker takes it. */
void receipt_add(struct receipt_box *box, const struct record *record, const char *request,
                 const char *current);

/* Sends the waiting receipts, as far as the broker accepts them. */
void receipt_flush(struct receipt_box *box);

/* How many receipts were given to the box so far; and of those, in this order, how many have left
 * this process: the broker's socket has them, or they were dropped. Receipts that are waiting, or
 * that libmosquitto holds while the socket is blocked, die with the process. */
uint64_t receipt_given(const struct receipt_box *box);
uint64_t receipt_gone(struct receipt_box *box);

uint64_t receipt_sent(const struct receipt_box *box);
uint64_t receipt_dropped(const struct receipt_box *box);

#endif

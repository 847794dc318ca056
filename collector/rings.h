/* The rings of the spool, each with its pipeline into Redis: follows the current ring of every
 * shard and drains the old ones, one per shard at a time. Keeps the books of deleted rings
 * (ledger.h). One thread, on a libevent loop. */
#ifndef TALLY_COLLECTOR_RINGS_H
#define TALLY_COLLECTOR_RINGS_H

#include "pipeline.h"
#include "status.h"
#include "store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rings;

/* `shared` is copied; what it points to must outlive the rings. Its `spool` and `pool`
 * are set here. NULL on no memory. */
struct rings *rings_new(const struct pipeline_shared *shared);

/* Call after the session has ended: its end calls back what is under way. NULL is fine. */
void rings_free(struct rings *rings);

/* The spool is open. Until then there are no rings. */
void rings_open(struct rings *rings, struct spool *spool);

/* For rings that may have been created since, or can be opened only now: call every second. */
void rings_look_again(struct rings *rings);

/* Opens, follows, drains and deletes rings, and sends what can be sent. Call only when open. */
void rings_pump(struct rings *rings);

/* Whether nothing is under way; whether there is something to take; whether records are waiting,
 * for a few ms at most, to be sent together with more. */
bool rings_idle(const struct rings *rings);
bool rings_have_more(const struct rings *rings);
bool rings_gather(const struct rings *rings);

/* Whether an answer is late (pipeline_late). */
bool rings_late(const struct rings *rings, uint64_t now_ms);

/* In how many ms the first pipeline that an audit has paused wants to be pumped; UINT64_MAX if none
 * is paused. */
uint64_t rings_paused_ms(const struct rings *rings);

/* What the rings say about their store; sets all of `out`. */
void rings_describe(const struct rings *rings, struct store_rings *out);

/* The store is accepted. Once one ring has applied to it, or it was adopted, all rings belong to
 * it. A ring that has applied nothing yet must not make the edge forget its store. */
void rings_accept(struct rings *rings, uint64_t store_id, bool adopted);

/* The first reason why a ring applies nothing, and which shards have it; or "". */
void rings_reason(const struct rings *rings, char *reason, size_t bytes);

/* How many rings are current, and how many of them have less room than `room_bytes`. */
void rings_count_full(const struct rings *rings, uint64_t room_bytes, unsigned *current,
                      unsigned *full);

/* Fills the status's shards. */
void rings_fill_status(const struct rings *rings, struct status *status);

#endif

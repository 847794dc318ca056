/* Knows what readers did and checks what must hold of it (issue: "It checks always"). It is told of
 * everything by the modelled parts; it trusts none of the real ones. The first fault is reported
 * to world_wrong. One thread. */
#ifndef TALLY_SIMULATION_JUDGE_H
#define TALLY_SIMULATION_JUDGE_H

#include "broker.h"
#include "files.h"
#include "redis.h"
#include "redis_reply.h"

#include "core/error.h"
#include "core/record.h"

void judge_begin(void);

/* --- what happens --- */

/* A reaction lies whole in a ring. `last`: the admission clock before. */
void judge_request_admitted(const struct broker_message *message, const struct record *record,
                            const struct files_ring *file, uint64_t last);

/* After judge_request_admitted: its broker was killed before the write position rose. Some or all
 * of its bytes may lie in the ring. It may count, but need not. */
void judge_request_torn(void);
void judge_request_quarantined(unsigned edge, const struct record *record);

/* In Redis: a call of the script begins; a vote was applied; a position, a version is given; a
 * script ended. */
void judge_commit_begin(uint64_t ring_id, uint64_t from, uint64_t to);
void judge_commit_vote(unsigned shard, unsigned article, uint64_t reader, uint64_t value,
                       uint64_t before, uint64_t after);
void judge_commit_position(unsigned shard, uint64_t store, const struct redis_ring *before,
                           const struct redis_ring *after);
void judge_commit_version(unsigned shard, unsigned article, uint64_t version);
void judge_commit_shard(unsigned shard);

/* A kind gets an id. An operator corrects the ids that a collector complains of. */
void judge_kinds_given(unsigned id, const char *name);
void judge_kinds_corrected(unsigned edge);

/* How many of the reactions that the call covers it has applied. */
uint64_t judge_commit_voted(void);

/* The number of the edge with this id. */
unsigned judge_edge(uint64_t id);

/* Between collector and Redis. `link`: the number of the one on which the answer comes. */
void judge_answer_sent(const struct redis_words *words);
void judge_answer_came(unsigned link, unsigned server, const struct redis_words *words,
                       const redisReply *reply);

/* A collector starts that may adopt another store. */
void judge_adopts(unsigned edge);

/* Redis holds nothing any more: versions of the next store are its own. */
void judge_wiped(void);

/* A server follows another one as a master, and has not got its last `lost` commits. */
void judge_failed_over(unsigned server, unsigned lost);

/* A link of the process was lost. */
void judge_answer_link_lost(const struct event_base *process, unsigned server);

/* A process or a link of the feed ended: forgets the totals that it was about to repeat. */
void judge_ended(const struct event_base *process);

/* The collector's self-audit found this many articles whose totals do not match their registers.
 */
void judge_audit(uint64_t differing);

/* The broker got a total, a receipt. */
void judge_shown_total(unsigned edge, unsigned article, const struct broker_total *total);
void judge_shown_receipt(const char *client, const char *payload, const unsigned char *correlation,
                         size_t bytes);

/* A loss occurred that no promise covers: from here on, reactions that Redis has not applied and no
 * ring holds need not be counted. */
enum judge_loss {
    JUDGE_REDIS_WENT_BACK,
    JUDGE_FAILED_OVER,
    JUDGE_POWER,
    JUDGE_DAMAGE,
    JUDGE_WIPED,
    JUDGE_LOSSES
};
void judge_lost(enum judge_loss loss);

/* --- checks --- */

/* Before and after every fault is repaired. From then on a collector that ran before must soon
 * apply the records of a shard that got another owner by the repair. */
void judge_ring_mends(void);
void judge_ring_mended(void);

/* After each step. */
void judge_step(void);

/* Whether the final state is as it should be; `why` names the first difference. */
bool judge_arrived(struct error *why);

/* After all has come to rest. */
void judge_end(void);

/* How many reactions were admitted, votes applied, receipts and totals seen: a run's figures. */
struct judge_counts {
    uint64_t admitted, votes, receipts, totals, optional, lost;
};
extern struct judge_counts judge_counts;

#endif

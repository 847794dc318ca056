/* The sessions that readers leave behind on the broker: how many each address has, so that one can
 * have no more than its share. A session is counted from the connection that begins it until the
 * broker has let it expire. The broker tells of no expiry, so that is reckoned. Bounded. Pure, time
 * comes in; one thread. */
#ifndef TALLY_BROKER_PLUGIN_SESSION_H
#define TALLY_BROKER_PLUGIN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_NEVER UINT32_MAX /* a lifetime: the session does not expire */
#define SESSION_GRACE_S 2        /* the broker lets one expire so much later than it should */

struct session_table;

/* Room for `max` sessions, and for `max_per_address` of each address. NULL for no memory. */
struct session_table *session_table_new(size_t max, uint64_t max_per_address);
void session_table_free(struct session_table *table); /* NULL is fine */
size_t session_table_count(const struct session_table *table);

/* Whether a connection may have the session `id` (a keyed hash of its client id): it is there
 * already, or there is room for one more of `address`. */
bool session_may_begin(const struct session_table *table, uint64_t id, uint64_t address);

/* The connection `holder` has the session from now on; it will be kept for `lifetime_s` after the
 * connection's end. One that is there stays its first address's. False where there is no room. */
bool session_begin(struct session_table *table, uint64_t id, uint64_t address, const void *holder,
                   uint32_t lifetime_s, uint64_t now_s);

/* The connection has ended; nothing happens where another has the session. */
void session_leave(struct session_table *table, uint64_t id, const void *holder, uint64_t now_s);

/* The session is over, unless the connection `holder` has it. An unknown one is fine. */
void session_over(struct session_table *table, uint64_t id, const void *holder);

/* Whether a connection is there. */
typedef bool (*session_there_fn)(void *user, const void *holder);

/* Forgets at most `most` sessions that have expired, where no connection has them. */
void session_tend(struct session_table *table, uint64_t now_s, size_t most, session_there_fn there,
                  void *user);

#endif

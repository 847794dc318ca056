/* The sessions that readers leave behind on the broker, counted per address so that none exceeds
 * its share. A session counts from the connection that begins it until the broker has expired it.
 * The broker does not report expiry, so it is computed. Bounded. Pure, time comes in; one
 * thread. */
#ifndef TALLY_BROKER_PLUGIN_SESSION_H
#define TALLY_BROKER_PLUGIN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_NEVER UINT32_MAX /* a lifetime: the session does not expire */
#define SESSION_GRACE_S 2        /* the broker expires a session this much late */

struct session_table;

/* Space for `max` sessions, and for `max_per_address` of each address. NULL if memory is short. */
struct session_table *session_table_new(size_t max, uint64_t max_per_address);
void session_table_free(struct session_table *table); /* NULL is fine */
size_t session_table_count(const struct session_table *table);

/* Whether a connection may have the session `id` (a keyed hash of its client id): it already
 * exists, or `address` may have one more. */
bool session_may_begin(const struct session_table *table, uint64_t id, uint64_t address);

/* The connection `holder` has the session from now on; it will be kept for `lifetime_s` after the
 * connection's end. An existing session stays with its first address. False if there is no
 * space. */
bool session_begin(struct session_table *table, uint64_t id, uint64_t address, const void *holder,
                   uint32_t lifetime_s, uint64_t now_s);

/* The connection has ended; nothing happens if another has the session. */
void session_leave(struct session_table *table, uint64_t id, const void *holder, uint64_t now_s);

/* The session is over, unless the connection `holder` has it. An unknown id is fine. */
void session_over(struct session_table *table, uint64_t id, const void *holder);

/* Whether the session has a connection. */
typedef bool (*session_there_fn)(void *user, const void *holder);

/* Forgets at most `most` expired sessions that no connection has. */
void session_tend(struct session_table *table, uint64_t now_s, size_t most, session_there_fn there,
                  void *user);

#endif

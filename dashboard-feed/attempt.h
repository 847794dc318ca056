/* Sends a query without its script where it is small: its commands one by one, between two looks at
 * the store and the version of the shard. Where both looks show the same, nothing has changed in
 * between, and the answers are what the script would have said. Where they differ, or a command
 * fails, the script is asked. The script costs Redis two to three times as much as the commands of
 * a small query. Loop thread only. */
#ifndef TALLY_FEED_ATTEMPT_H
#define TALLY_FEED_ATTEMPT_H

#include "query.h"

/* As query_send: the callback gets what read.lua answers (query_answers). Nothing of the query is
 * kept. Each command of it must answer a string, nothing, or a list of these; whatever else comes
 * is asked of the script. */
int attempt_send(struct query *query, redis_link_cb *callback, void *user);

#endif

/* Old rings whose header cannot be read. Each is put away, and counted and logged once, even if it
 * cannot be moved for a while. One thread. */
#ifndef TALLY_COLLECTOR_UNREADABLE_H
#define TALLY_COLLECTOR_UNREADABLE_H

#include "spool/spool_consumer.h"

#include <stdbool.h>
#include <stdint.h>

#define UNREADABLE_MAX (SPOOL_SHARDS_MAX * SPOOL_OLD_MAX)

struct unreadable {
    struct spool_consumer_old file[UNREADABLE_MAX]; /* counted, not yet moved away */
    int n;
};

/* Puts a ring away; `why` says what is wrong with it. Returns whether it is seen for the first
 * time, and is to be counted as damaged. */
bool unreadable_put_away(struct unreadable *unreadable, struct spool *spool,
                         const struct spool_consumer_old *file, const char *why);

/* Forgets the rings that are not among these, because they were moved or removed. */
void unreadable_keep(struct unreadable *unreadable, const struct spool_consumer_old *list, int n);

#endif

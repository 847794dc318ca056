/* What the handlers of the broker's events share: authenticate.c, authorize.c, identity.c, react.c
 * and article_topics.c. plugin.c owns it. The broker's one thread. */
#ifndef TALLY_BROKER_PLUGIN_PLUGIN_H
#define TALLY_BROKER_PLUGIN_PLUGIN_H

#include "broker.h"
#include "charge.h"
#include "edge.h"
#include "housekeeping.h"

#include <stdbool.h>
#include <stdint.h>

struct plugin {
    mosquitto_plugin_id_t *id;
    struct edge edge;
    const struct mosquitto *unmatched; /* may write to reactions/, and MESSAGE has not come yet */
    /* The last PUBLISH outside Tally stays charged until MESSAGE shows that it was allowed. */
    const struct mosquitto *foreign;
    uint64_t refusals_before; /* its client's bucket */
    bool mosquitto_2_1;       /* the broker that runs, whatever the headers were */
    bool reloading;           /* until TICK: BASIC_AUTH comes for existing sessions */
    uint64_t signatures;      /* the bucket that limits signature checks */
    uint64_t next_tend_ms;
    uint64_t next_look_ms;
    struct charge *charge;
    struct housekeeping *housekeeping;
    struct housekeeping_counts counts;
};

#endif

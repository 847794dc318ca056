/* Who may read, publish and subscribe (INTERFACES.md 3). Depends on the broker. Its one thread. */
#ifndef TALLY_BROKER_PLUGIN_AUTHORIZE_H
#define TALLY_BROKER_PLUGIN_AUTHORIZE_H

#include "plugin.h"

#include <stdbool.h>

/* The answer to ACL_CHECK, of MOSQ_ERR_*. */
int authorize_check(struct plugin *plugin, const struct mosquitto_evt_acl_check *asked);

/* Counts a right to write to reactions/ that no MESSAGE followed. It was asked for a will, which is
 * routed to nobody. */
void authorize_count_unmatched(struct plugin *plugin);

/* Call it when another event than MESSAGE comes. */
static inline void authorize_settle(struct plugin *plugin)
{
    if (plugin->unmatched != NULL)
        authorize_count_unmatched(plugin);
}

/* A MESSAGE comes: whether ACL_CHECK allowed it as a reaction just before. */
static inline bool authorize_asked(struct plugin *plugin, const struct mosquitto *connection)
{
    bool asked = plugin->unmatched == connection;
    if (!asked)
        authorize_settle(plugin);
    plugin->unmatched = NULL;
    return asked;
}

/* A MESSAGE outside Tally comes: others allowed it, so it gets back what ACL_CHECK charged. */
void authorize_foreign_allowed(struct plugin *plugin, const struct mosquitto *connection);

#endif

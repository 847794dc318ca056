/* Messages about articles: states, totals, and the feed's ops/real (INTERFACES.md 2.9 and 2.10).
 * Depends on the broker. Its one thread. */
#ifndef TALLY_BROKER_PLUGIN_ARTICLE_TOPICS_H
#define TALLY_BROKER_PLUGIN_ARTICLE_TOPICS_H

#include "plugin.h"

/* Learns from a message that its client may publish, and answers with one of MOSQ_ERR_*. `article`
 * is what follows the area: an article, valid or not, or NULL. */
int article_topics_learn(struct plugin *plugin, const struct client *client, enum role_area area,
                         const char *article, const struct mosquitto_evt_message *message);

#endif

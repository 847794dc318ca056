/* What services say about articles, and what the registry does with it. */
#include "article_topics.h"

#include "core/article.h"
#include "core/article_state.h"

#include <string.h>

/* An invalid state changes nothing, and is not routed. The feed's are counted, because it may
 * repeat many; an operator's is logged at once. */
static int refuse_state(struct plugin *plugin, const char *article, bool by_feed, const char *why)
{
    if (by_feed)
        plugin->counts.states_refused++;
    else
        broker_say(MOSQ_LOG_WARNING, "refused a state", "article=\"%.*s\" reason=\"%s\"",
                   ARTICLE_MAX_BYTES, article, why);
    return MOSQ_ERR_ACL_DENIED;
}

/* Handles a state from an operator, or from the feed that passes it on. */
static int learn_state(struct plugin *plugin, const char *article, bool by_feed,
                       const struct mosquitto_evt_message *message)
{
    static const char *const why[] = {
        [REGISTRY_NO_ROOM] = "option max_articles is reached by articles with a state alone",
        [REGISTRY_NO_SUCH_KIND] = "it names a kind that is not configured",
        [REGISTRY_OUTDATED] = "an operator has changed it since",
    };
    struct registry *registry = plugin->edge.admit.registry;
    struct article_state state;
    enum registry_outcome outcome;
    size_t bytes = strlen(article);

    if (message->payloadlen == 0)
        outcome = registry_clear_state(registry, article, bytes, by_feed);
    else if (article_state_parse(&state, article, bytes, message->payload, message->payloadlen) !=
                 0 ||
             by_feed != (state.version > 0))
        return refuse_state(plugin, article, by_feed, "it has an unknown form");
    else
        outcome = registry_set_state(registry, article, bytes, &state, broker_unix_ms());
    return outcome == REGISTRY_APPLIED ? MOSQ_ERR_SUCCESS
                                       : refuse_state(plugin, article, by_feed, why[outcome]);
}

/* Handles an allowed message about an article: its state, or that it has a total and so was known,
 * or no longer has one, or is real. Only a retained message is a state. */
int article_topics_learn(struct plugin *plugin, const struct client *client, enum role_area area,
                         const char *article, const struct mosquitto_evt_message *message)
{
    bool by_feed = client->facts.role == ROLE_FEED;
    bool good = article != NULL && message->retain && article_valid(article, strlen(article));

    if (good && area == AREA_TOTALS && article_is_probe(article, strlen(article)))
        return MOSQ_ERR_SUCCESS; /* the registry has no entry for it */
    if (area == AREA_ARTICLES)
        return good ? learn_state(plugin, article, by_feed, message)
                    : refuse_state(plugin, article == NULL ? "" : article, by_feed,
                                   "it is not retained, or of no article");
    if (good && area == AREA_TOTALS && message->payloadlen > 0)
        registry_total_found(plugin->edge.admit.registry, article, strlen(article),
                             broker_unix_ms());
    else if (good && area == AREA_TOTALS)
        registry_total_gone(plugin->edge.admit.registry, article, strlen(article));
    else if (area == AREA_OPS && by_feed && article != NULL && strcmp(article, "real") == 0 &&
             article_valid(message->payload, message->payloadlen))
        registry_confirm(plugin->edge.admit.registry, message->payload, message->payloadlen);
    return MOSQ_ERR_SUCCESS;
}

/* The adapter to Mosquitto: the table of its events, and the plugin's start and end. The broker
 * behavior it relies on was read in the sources of 2.0.11, 2.0.21 and 2.1.2: DESIGN, "What the
 * broker does". */
#include "plugin.h"

#include "article_topics.h"
#include "authenticate.h"
#include "authorize.h"
#include "identity.h"
#include "react.h"
#include "startup.h"

#include "core/error.h"

#include <stdlib.h>

#define PLUGIN_VERSION 5

/* --- events --- */

static int on_basic_auth(int event, void *data, void *user)
{
    (void)event;
    authorize_settle(user);
    return authenticate_check(user, data);
}

/* Only 2.1 reports this. */
static int on_connect(int event, void *data, void *user)
{
    const struct broker_evt_client *begun = data;
    (void)event;
    identity_connected(user, begun->client);
    return MOSQ_ERR_SUCCESS;
}

/* DISCONNECT, and on 2.1 CLIENT_OFFLINE where the session stays. */
static int on_end(int event, void *data, void *user)
{
    const struct broker_evt_client *ended = data;
    (void)event;
    authorize_settle(user);
    authenticate_end(user, ended->client);
    return MOSQ_ERR_SUCCESS;
}

static int on_acl_check(int event, void *data, void *user)
{
    (void)event;
    return authorize_check(user, data);
}

static int on_message(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    const struct mosquitto_evt_message *message = data;
    const char *rest;

    (void)event;
    bool asked = authorize_asked(plugin, message->client);
    enum role_area area = role_area(&plugin->edge.rules, message->topic, &rest);
    if (area == AREA_FOREIGN) {
        authorize_foreign_allowed(plugin, message->client);
        return MOSQ_ERR_SUCCESS;
    }
    struct client *client = identity_connected(plugin, message->client);
    if (client != NULL && area == AREA_REACTIONS)
        return react_to_message(plugin, client, rest, asked, message);
    if (client != NULL && role_write(&client->facts, area, rest) == ROLE_ALLOW)
        return article_topics_learn(plugin, client, area, rest, message);
    spool_producer_count_refused(plugin->edge.spool, REASON_FORBIDDEN);
    return MOSQ_ERR_ACL_DENIED;
}

static int on_tick(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    uint64_t now_ms = broker_now_ns() / 1000000u;

    (void)event;
    if (plugin->mosquitto_2_1)
        ((struct broker_evt_tick *)data)->next_ms = CHARGE_LOOK_MS;
    plugin->reloading = false;
    authorize_settle(plugin);
    if (now_ms >= plugin->next_look_ms) {
        plugin->next_look_ms = now_ms + CHARGE_LOOK_MS;
        charge_look(plugin->charge, broker_now_ns());
    }
    if (now_ms < plugin->next_tend_ms)
        return MOSQ_ERR_SUCCESS;
    plugin->next_tend_ms = now_ms + HOUSEKEEPING_MS;
    housekeeping_tend(plugin->housekeeping, now_ms, broker_unix_ms());
    return MOSQ_ERR_SUCCESS;
}

static int on_reload(int event, void *data, void *user)
{
    struct plugin *plugin = user;
    (void)event;
    (void)data;
    plugin->reloading = true;
    housekeeping_reload(plugin->housekeeping);
    if (!plugin->mosquitto_2_1)
        return MOSQ_ERR_PLUGIN_DEFER; /* anything else hides the event from other plugins */
    /* A callback that was never called is due at the loop's next turn, before anybody connects: it
     * ends the reload. */
    mosquitto_callback_unregister(plugin->id, MOSQ_EVT_TICK, on_tick, NULL);
    if (mosquitto_callback_register(plugin->id, MOSQ_EVT_TICK, on_tick, NULL, plugin) !=
        MOSQ_ERR_SUCCESS)
        return MOSQ_ERR_NOMEM; /* ends the broker: without TICK nothing would be tended */
    return MOSQ_ERR_SUCCESS;
}

static const struct {
    int event;
    MOSQ_FUNC_generic_callback call;
    bool mosquitto_2_1; /* 2.0 does not know it */
} events[] = {
    {MOSQ_EVT_BASIC_AUTH, on_basic_auth, false},
    {MOSQ_EVT_ACL_CHECK, on_acl_check, false},
    {MOSQ_EVT_MESSAGE, on_message, false},
    {MOSQ_EVT_DISCONNECT, on_end, false},
    {MOSQ_EVT_TICK, on_tick, false},
    {MOSQ_EVT_RELOAD, on_reload, false},
    {BROKER_EVT_CONNECT, on_connect, true},
    {BROKER_EVT_CLIENT_OFFLINE, on_end, true},
};

/* --- start and end --- */

/* Also finds out which broker this is: 2.0 refuses the events of 2.1. */
static int register_events(struct plugin *plugin, struct error *error)
{
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        int code =
            mosquitto_callback_register(plugin->id, events[i].event, events[i].call, NULL, plugin);
        if (events[i].mosquitto_2_1 && code == MOSQ_ERR_NOT_SUPPORTED && !plugin->mosquitto_2_1)
            continue;
        plugin->mosquitto_2_1 = events[i].mosquitto_2_1;
        if (code != MOSQ_ERR_SUCCESS)
            return error_set(error, "the broker knows no event %d (code %d)", events[i].event,
                             code);
    }
    return 0;
}

static void plugin_free(struct plugin *plugin)
{
    if (plugin == NULL)
        return;
    /* Callbacks that were never registered are not found; that is fine. */
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        mosquitto_callback_unregister(plugin->id, events[i].event, events[i].call, NULL);
    authorize_settle(plugin);
    housekeeping_free(plugin->housekeeping);
    charge_free(plugin->charge);
    edge_close(&plugin->edge);
    free(plugin);
}

static int plugin_start(struct plugin *plugin, const struct mosquitto_opt *options, int n,
                        struct error *error)
{
    if (startup_open(&plugin->edge, options, n, error) != 0)
        return -1;
    if (register_events(plugin, error) != 0)
        return -1;
    plugin->housekeeping = housekeeping_new(&plugin->edge, &plugin->counts);
    plugin->charge = charge_new(&plugin->edge, &plugin->counts, plugin->mosquitto_2_1);
    if (plugin->housekeeping == NULL || plugin->charge == NULL)
        return error_set(error, "no memory");
    return 0;
}

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++)
        if (supported_versions[i] == PLUGIN_VERSION)
            return PLUGIN_VERSION;
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
                          struct mosquitto_opt *options, int option_count)
{
    struct error error;
    struct plugin *plugin = calloc(1, sizeof *plugin);
    if (plugin == NULL)
        return MOSQ_ERR_NOMEM;
    plugin->id = identifier;
    if (plugin_start(plugin, options, option_count, &error) != 0) {
        if (error.text[0] != '\0')
            broker_say(MOSQ_LOG_ERR, error.text, "%s", "");
        plugin_free(plugin);
        return MOSQ_ERR_INVAL;
    }
    startup_say_ready(&plugin->edge, plugin->mosquitto_2_1);
    *userdata = plugin;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    (void)options;
    (void)option_count;
    plugin_free(userdata);
    return MOSQ_ERR_SUCCESS;
}

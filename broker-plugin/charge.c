/* Counts what each connection and each address costs, in the buckets of limit.c, and ends the
 * connections that flood. */
#include "charge.h"

#include "peek.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOOD_CONNECTIONS 100       /* the minimum that an ended flooder costs its address … */
#define FLOOD_BYTES_A_CONNECTION 10 /* … and one for each of these unexplained bytes */
#define FILTERS_A_CONNECTION 32     /* this many filters cost an address as much as a connection */
#define WILDCARD_CONNECTIONS 10     /* a wildcard costs it this many … */
#define WILDCARD_WASTE 50           /* … and the connection this many refusals */
#define LOOK_MAX 80                 /* connections checked each time */
#define SESSIONS_TENDED 100         /* at most this many sessions forgotten each time */

struct charge {
    struct edge *edge;
    struct housekeeping_counts *counts;
    struct limit_rate unexplained_rate;
    enum wire_proof proof;
    struct peek_place place; /* of packets in a client's memory */
    bool mosquitto_2_1;
    bool ending; /* a connection */
};

struct charge *charge_new(struct edge *edge, struct housekeeping_counts *counts, bool mosquitto_2_1)
{
    const struct settings *settings = &edge->settings;
    uint64_t burst = settings->refusal_burst + WIRE_RECORD_BYTES / WIRE_UNEXPLAINED_BYTES;
    struct charge *charge = calloc(1, sizeof *charge);

    if (charge == NULL)
        return NULL;
    charge->edge = edge;
    charge->counts = counts;
    charge->mosquitto_2_1 = mosquitto_2_1;
    charge->unexplained_rate = limit_rate_of(settings->refusal_rate, LIMIT_SECOND_NS, burst);
    return charge;
}

void charge_free(struct charge *charge)
{
    free(charge);
}

bool charge_address(const struct charge *charge, const struct mosquitto *connection, uint64_t *key)
{
    struct address address;
    const char *text = mosquitto_client_address(connection);

    *key = ADDRESS_KEY_UNREADABLE;
    if (text == NULL)
        return false;
    if (!address_parse(&address, text))
        return true;
    *key = address_key(&address);
    return !address_nets_contain(&charge->edge->settings.proxy_nets, &address);
}

/* The connection bucket of a client's address; NULL if it has no limit. */
static uint64_t *connections_of(struct charge *charge, const struct mosquitto *connection)
{
    uint64_t key;

    if (charge->edge->connections == NULL || !charge_address(charge, connection, &key))
        return NULL;
    return limit_table_bucket(charge->edge->connections, key);
}

bool charge_connection(struct charge *charge, const struct mosquitto *connection, uint64_t now_ns)
{
    uint64_t *bucket = connections_of(charge, connection);

    if (bucket == NULL)
        return true;
    if (!limit_table_left(charge->edge->connections, bucket, now_ns))
        return false;
    limit_table_take(charge->edge->connections, bucket, now_ns);
    return true;
}

/* Charges the address for this many connections, into debt if necessary. */
static void charge_to_address(struct charge *charge, const struct mosquitto *connection, uint64_t n,
                              uint64_t now_ns)
{
    uint64_t *bucket = connections_of(charge, connection);

    if (bucket != NULL)
        limit_table_charge(charge->edge->connections, bucket, n, now_ns);
}

static bool limited(const struct charge *charge, const struct client *client)
{
    return charge->edge->connections != NULL && client != NULL && client->facts.service == NULL;
}

bool charge_waste(struct charge *charge, struct client *client, const struct mosquitto *connection,
                  enum flood flood, uint32_t n, uint64_t now_ns)
{
    const struct limit_rate *rate = &charge->edge->refusals_rate;

    if (!limited(charge, client))
        return false;
    if (limit_left(rate, client->refusals, now_ns)) {
        client->refusals = limit_charged(rate, client->refusals, n, now_ns);
        return false;
    }
    charge->counts->flooded[flood]++;
    charge_to_address(charge, connection, FLOOD_CONNECTIONS, now_ns);
    return true;
}

bool charge_filter(struct charge *charge, struct client *client, const struct mosquitto *connection,
                   bool wildcard, uint64_t now_ns)
{
    if (!limited(charge, client))
        return false;
    if (++client->filters % FILTERS_A_CONNECTION == 0)
        charge_to_address(charge, connection, 1, now_ns);
    if (!wildcard)
        return false;
    charge_to_address(charge, connection, WILDCARD_CONNECTIONS, now_ns);
    return charge_waste(charge, client, connection, FLOOD_SUBSCRIBE, WILDCARD_WASTE, now_ns);
}

/* --- traffic that no event reports --- */

/* The CONNECT that the broker is processing. False if it cannot be read. */
static bool read_connect(struct charge *charge, const struct mosquitto *connection,
                         const char *password, struct peek_packet *packet)
{
    struct peek_client known = {
        .address = mosquitto_client_address(connection),
        .id = mosquitto_client_id(connection),
        .username = mosquitto_client_username(connection),
        .password = password,
        .keepalive = mosquitto_client_keepalive(connection),
    };

    return peek_connect(connection, &known, charge->mosquitto_2_1, &charge->place, packet);
}

/* How long the client wants its session kept after the connection ends. */
static uint32_t wanted_lifetime_s(struct charge *charge, const struct mosquitto *connection,
                                  const char *password)
{
    struct peek_packet packet;

    if (mosquitto_client_protocol_version(connection) >= 5 &&
        read_connect(charge, connection, password, &packet))
        return peek_session_expiry(&packet);
    return mosquitto_client_clean_session(connection) ? 0 : SESSION_NEVER;
}

/* A proxy may have set its address: for WebSockets, and with PROXY protocol on 2.1. */
static bool named_by_proxy(const struct charge *charge, const struct mosquitto *connection)
{
    return charge->mosquitto_2_1 || mosquitto_client_protocol(connection) == mp_websockets;
}

void charge_begin(struct charge *charge, struct client *client, const struct mosquitto *connection,
                  const char *password)
{
    enum wire_proof before = charge->proof;
    struct peek_packet packet;

    client->lasting = wanted_lifetime_s(charge, connection, password) > 0;
    if (!limited(charge, client) && before != WIRE_UNPROVED)
        return;
    if (charge->place.offset == 0)
        read_connect(charge, connection, password, &packet);
    wire_begin(&client->wire, peek_socket(connection), mosquitto_client_address(connection),
               named_by_proxy(charge, connection), &charge->proof);
    if (charge->proof == WIRE_REFUTED && before != WIRE_REFUTED)
        broker_say(MOSQ_LOG_WARNING,
                   "cannot find the sockets of clients in this version of the broker: floods of "
                   "PINGREQ and other small packets go unnoticed",
                   "%s", "");
}

/* Bytes of an incomplete packet. */
static uint32_t pending_of(const struct charge *charge, const struct mosquitto *connection)
{
    struct peek_packet packet;

    if (charge->place.offset == 0)
        return 0;
    peek_at(connection, &charge->place, &packet);
    return peek_pending(&packet);
}

/* Ends a connection that received `unexplained` packets since the last check. */
static void charge_end(struct charge *charge, struct client *client,
                       const struct mosquitto *connection, uint64_t unexplained, uint64_t now_ns)
{
    char client_id[ROLE_CLIENT_ID_MAX_BYTES + 1];
    const char *id = mosquitto_client_id(connection);
    uint64_t connections = unexplained * WIRE_UNEXPLAINED_BYTES / FLOOD_BYTES_A_CONNECTION;

    wire_none(&client->wire);
    charge->counts->flooded[FLOOD_PACKETS]++;
    charge_to_address(charge, connection,
                      connections < FLOOD_CONNECTIONS ? FLOOD_CONNECTIONS : connections, now_ns);
    if (id == NULL || strlen(id) >= sizeof client_id)
        return;
    memcpy(client_id, id, strlen(id) + 1);
    charge->ending = true;
    mosquitto_kick_client_by_clientid(client_id, true);
    charge->ending = false;
}

static void look_at(struct charge *charge, struct client *client, uint64_t now_ns)
{
    const struct limit_rate *rate = &charge->unexplained_rate;
    uint64_t came;
    uint32_t unread;

    if (!limited(charge, client) || client->phase == CLIENT_ENDED ||
        !wire_look(&client->wire, &came, &unread))
        return;
    /* Its socket is open, so the broker still holds it, and the pointer is valid. */
    const struct mosquitto *connection = client->key;
    uint32_t packets = wire_judge(&client->wire, came, unread + pending_of(charge, connection));
    if (packets == 0)
        return;
    client->wire.bucket = limit_charged(rate, client->wire.bucket, packets, now_ns);
    if (!limit_left(rate, client->wire.bucket, now_ns))
        charge_end(charge, client, connection, rate->burst + packets,
                   now_ns); /* all that it took */
}

static bool is_there(void *user, const void *holder)
{
    const struct client *client = client_find(user, holder);
    return client != NULL && client->phase != CLIENT_ENDED;
}

void charge_look(struct charge *charge, uint64_t now_ns)
{
    struct client_table *clients = charge->edge->clients;
    size_t n = client_table_count(clients);
    struct client *client;

    for (size_t i = 0; i < n && i < LOOK_MAX && (client = client_next(clients)) != NULL; i++)
        look_at(charge, client, now_ns);
    if (charge->edge->sessions != NULL)
        session_tend(charge->edge->sessions, now_ns / LIMIT_SECOND_NS, SESSIONS_TENDED, is_there,
                     clients);
}

bool charge_ending(const struct charge *charge)
{
    return charge->ending;
}

/* --- sessions --- */

/* False if there is no id that a session may have. */
static bool id_of(const struct charge *charge, const struct mosquitto *connection, uint64_t *id)
{
    const char *client_id = mosquitto_client_id(connection);
    size_t bytes = client_id == NULL ? 0 : strlen(client_id);

    if (bytes == 0 || bytes > ROLE_CLIENT_ID_MAX_BYTES)
        return false;
    *id = reader_hash(&charge->edge->admit.key, "", 0, 's', client_id, bytes);
    return true;
}

bool charge_session(struct charge *charge, const struct mosquitto_evt_basic_auth *asked,
                    struct charge_session *session, uint64_t now_ns)
{
    struct session_table *sessions = charge->edge->sessions;
    uint64_t most_s = charge->edge->session_expiration_s; /* 0: no limit */

    memset(session, 0, sizeof *session);
    session->clean = mosquitto_client_clean_session(asked->client);
    session->lifetime_s = wanted_lifetime_s(charge, asked->client, asked->password);
    session->lasts = session->lifetime_s > 0;
    if (most_s > 0 && session->lifetime_s > most_s)
        session->lifetime_s = (uint32_t)most_s;
    session->counted = sessions != NULL &&
                       charge_address(charge, asked->client, &session->address) &&
                       id_of(charge, asked->client, &session->id);
    if (!session->counted || !session->lasts)
        return true;
    session_tend(sessions, now_ns / LIMIT_SECOND_NS, SESSIONS_TENDED, is_there,
                 charge->edge->clients);
    if (session_may_begin(sessions, session->id, session->address))
        return true;
    charge->counts->sessions++;
    return false;
}

void charge_session_begun(struct charge *charge, const struct mosquitto *connection,
                          const struct charge_session *session, bool unauthenticated,
                          uint64_t now_ns)
{
    if (session->counted && session->lasts)
        session_begin(charge->edge->sessions, session->id, session->address, connection,
                      session->lifetime_s, now_ns / LIMIT_SECOND_NS);
    else if (session->counted && session->clean && !unauthenticated)
        session_over(charge->edge->sessions, session->id, connection);
}

void charge_session_over(struct charge *charge, const struct mosquitto *connection)
{
    uint64_t id;

    if (charge->edge->sessions != NULL && mosquitto_client_clean_session(connection) &&
        id_of(charge, connection, &id))
        session_over(charge->edge->sessions, id, connection);
}

void charge_session_left(struct charge *charge, const struct mosquitto *connection, uint64_t now_ns)
{
    uint64_t id;

    if (charge->edge->sessions != NULL && id_of(charge, connection, &id))
        session_leave(charge->edge->sessions, id, connection, now_ns / LIMIT_SECOND_NS);
}

/* Opens all subscribers, then serves what they receive until the task is done. */
#include "audience.h"

#include "connection.h"
#include "core/error.h"
#include "meter.h"
#include "splitmix.h"
#include "total.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define OPENING 32 /* connections that wait for an answer, under a broker's listen() backlog */
#define SUBSCRIBE_S 30
#define EVENTS 1024
#define LOOK_MS 100
#define OUT_BYTES 1024
#define IN_BYTES 4096
#define NAME_BYTES 48
#define PAYLOAD_BYTES 512
#define PACKET_ID 1
#define MS_NS UINT64_C(1000000)

/* A connection: a subscriber's, or behind those a writer's. */
struct seat {
    struct audience *audience;
    struct connection *connection; /* NULL: broken */
    uint64_t version, total;       /* of the last total */
    uint32_t probes;               /* that were in it */
    bool writer, subscribed;
};

struct audience {
    const struct crowd_settings *settings;
    const volatile sig_atomic_t *stop;
    int epoll;
    struct seat *seat;
    size_t subscribers, seats;
    size_t there; /* subscribers that are not broken */
    bool begun;
    uint64_t published; /* totals, of all tasks */
    uint64_t *probe_ns; /* when each probe was sent */
    uint64_t next_ns;   /* when the next one is due; 0: not before the last one arrived */
    uint64_t random;
    uint64_t now_ns;
    struct audience_counts counts;
};

/* --- making and ending --- */

static size_t writers(const struct crowd_settings *settings)
{
    return settings->publish > 0 ? 1 : settings->probes;
}

/* Who the seat is. A reader's name is another for each seat and seed. */
static void name_seat(const struct audience *audience, size_t i, char id[NAME_BYTES],
                      char reader[NAME_BYTES])
{
    const struct crowd_settings *settings = audience->settings;
    snprintf(reader, NAME_BYTES, "reader-%012" PRIx64 "-%012zx", settings->seed, i);
    if (audience->seat[i].writer && settings->username[0] != '\0')
        snprintf(id, NAME_BYTES, "tally-crowd-%d", (int)getpid());
    else
        snprintf(id, NAME_BYTES, "crowd-%d-%zu", (int)getpid(), i);
}

static struct wire_login login_of(const struct audience *audience, size_t i, const char *id,
                                  const char *reader)
{
    const struct crowd_settings *settings = audience->settings;
    bool service = audience->seat[i].writer && settings->username[0] != '\0';
    return (struct wire_login){
        .version = settings->version,
        .client_id = id,
        .username = service ? settings->username : reader,
        .password = service ? settings->password : NULL,
    };
}

/* The three steps of a connection, each of which waits for the answer to the one before. */
static int open_seat(struct audience *audience, const struct addrinfo *addresses, size_t i,
                     struct error *error)
{
    struct seat *seat = &audience->seat[i];
    char id[NAME_BYTES], reader[NAME_BYTES];
    seat->audience = audience;
    seat->writer = i >= audience->subscribers;
    name_seat(audience, i, id, reader);
    const struct wire_login login = login_of(audience, i, id, reader);
    seat->connection = audience->settings->websocket
                           ? connection_open_websocket(addresses, audience->settings->host,
                                                       OUT_BYTES, IN_BYTES, error)
                           : connection_open(addresses, &login, OUT_BYTES, IN_BYTES, error);
    return seat->connection == NULL ? -1 : 0;
}

static int upgrade_seat(struct audience *audience, size_t i, struct error *error)
{
    char id[NAME_BYTES], reader[NAME_BYTES];
    if (!audience->settings->websocket)
        return 0;
    name_seat(audience, i, id, reader);
    const struct wire_login login = login_of(audience, i, id, reader);
    return connection_upgraded(audience->seat[i].connection, &login, error);
}

static int accept_seat(struct audience *audience, size_t i, struct error *error)
{
    struct seat *seat = &audience->seat[i];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = seat};
    unsigned receive_maximum;
    if (connection_accepted(seat->connection, &receive_maximum, error) != 0)
        return -1;
    if (epoll_ctl(audience->epoll, EPOLL_CTL_ADD, connection_socket(seat->connection), &event) != 0)
        return error_set(error, "epoll: %s", strerror(errno));
    if (seat->writer)
        return 0;
    audience->there++;
    size_t room;
    unsigned char *out = connection_room(seat->connection, &room);
    connection_put(seat->connection, wire_subscribe(out, room, audience->settings->version,
                                                    PACKET_ID, audience->settings->filter, 0));
    return connection_flush(seat->connection) == 1
               ? 0
               : error_set(error, "cannot send SUBSCRIBE: %s", strerror(errno));
}

static int open_seats(struct audience *audience, struct error *error)
{
    struct addrinfo *addresses;
    size_t n = audience->seats;
    int answer = 0;
    if (connection_resolve(audience->settings->host, (unsigned)audience->settings->port, &addresses,
                           error) != 0)
        return -1;
    for (size_t i = 0; i < n + 2 * (size_t)OPENING && answer == 0; i++) {
        if (*audience->stop != 0)
            answer = error_set(error, "ended before all were connected");
        if (answer == 0 && i < n)
            answer = open_seat(audience, addresses, i, error);
        if (answer == 0 && i >= OPENING && i - OPENING < n)
            answer = upgrade_seat(audience, i - OPENING, error);
        if (answer == 0 && i >= 2 * (size_t)OPENING)
            answer = accept_seat(audience, i - 2 * (size_t)OPENING, error);
    }
    freeaddrinfo(addresses);
    return answer;
}

static int await_subscriptions(struct audience *audience, struct error *error)
{
    uint64_t stop_ns = meter_now_ns() + SUBSCRIBE_S * 1000 * MS_NS;
    while (audience->counts.subscribed < audience->subscribers) {
        if (audience->counts.connections_lost > 0)
            return error_set(error, "the broker ended a connection, or refused a subscription");
        if (*audience->stop != 0 || meter_now_ns() >= stop_ns)
            return error_set(error, "only %" PRIu64 " of %zu were subscribed",
                             audience->counts.subscribed, audience->subscribers);
        audience_look(audience, LOOK_MS);
    }
    return 0;
}

struct audience *audience_new(const struct crowd_settings *settings,
                              const volatile sig_atomic_t *stop, struct error *error)
{
    struct audience *audience = calloc(1, sizeof *audience);
    if (audience == NULL)
        goto no_memory;
    audience->settings = settings;
    audience->stop = stop;
    audience->random = settings->seed;
    audience->subscribers = settings->connections;
    audience->seats = settings->connections + writers(settings);
    audience->epoll = epoll_create1(EPOLL_CLOEXEC);
    audience->seat = calloc(audience->seats, sizeof *audience->seat);
    audience->probe_ns = calloc(settings->probes + 1, sizeof *audience->probe_ns);
    if (audience->epoll < 0 || audience->seat == NULL || audience->probe_ns == NULL)
        goto no_memory;
    if (open_seats(audience, error) != 0 || await_subscriptions(audience, error) != 0)
        goto fail;
    return audience;
no_memory:
    error_set(error, "no memory for so many connections");
fail:
    audience_free(audience);
    return NULL;
}

void audience_free(struct audience *audience)
{
    if (audience == NULL)
        return;
    for (size_t i = 0; audience->seat != NULL && i < audience->seats; i++)
        connection_free(audience->seat[i].connection);
    free(audience->seat);
    free(audience->probe_ns);
    if (audience->epoll >= 0)
        close(audience->epoll);
    free(audience);
}

/* --- what the broker says --- */

/* A total holds the probes up to its count of their kind, as nobody else chooses that. */
static int find_probes(struct seat *seat, uint64_t count)
{
    struct audience *audience = seat->audience;
    if (count > audience->counts.sent)
        return -1;
    for (; seat->probes < count; seat->probes++)
        latency_add(&audience->counts.latency, audience->now_ns - audience->probe_ns[seat->probes]);
    return 0;
}

static int on_total(struct seat *seat, const struct wire_frame *frame)
{
    struct audience *audience = seat->audience;
    struct audience_counts *counts = &audience->counts;
    struct wire_message message;
    struct total total;
    if (wire_read_message(frame, audience->settings->version, &message) != 0)
        return -1;
    if (counts->deliveries++ == 0)
        counts->first_ns = audience->now_ns;
    counts->last_ns = audience->now_ns;
    if (total_read(message.payload, message.payload_bytes, audience->settings->kind, &total) != 0 ||
        (audience->settings->probes > 0 && find_probes(seat, total.count) != 0)) {
        counts->strange++;
        return 0;
    }
    counts->backwards += total.version < seat->version;
    seat->version = total.version;
    seat->total = total.total;
    return 0;
}

static int on_frame(void *user, const struct wire_frame *frame)
{
    struct seat *seat = user;
    struct audience_counts *counts = &seat->audience->counts;
    uint16_t id;
    int reason;
    switch (frame->type) {
    case WIRE_PUBLISH:
        return on_total(seat, frame);
    case WIRE_PUBACK:
        if (wire_read_puback(frame, &id, &reason) != 0)
            return -1;
        counts->acknowledged += reason < WIRE_FAILED;
        counts->refused += reason >= WIRE_FAILED;
        return 0;
    case WIRE_SUBACK:
        if (seat->subscribed ||
            wire_read_suback(frame, seat->audience->settings->version, &reason) != 0 ||
            reason >= WIRE_FAILED)
            return -1;
        seat->subscribed = true;
        counts->subscribed++;
        return 0;
    default: /* DISCONNECT, or what none of them gets */
        return -1;
    }
}

static void lose(struct seat *seat)
{
    connection_free(seat->connection);
    seat->connection = NULL;
    seat->audience->counts.connections_lost++;
    if (!seat->writer)
        seat->audience->there--;
}

/* --- tasks --- */

static void audience_publish(struct seat *seat, const char *topic, const char *payload,
                             size_t bytes, int qos)
{
    struct audience *audience = seat->audience;
    size_t room;
    if (seat->connection == NULL)
        return;
    unsigned char *out = connection_room(seat->connection, &room);
    const struct wire_message message = {
        .topic = topic,
        .topic_bytes = strlen(topic),
        .payload = payload,
        .payload_bytes = bytes,
        .qos = qos,
        .id = PACKET_ID,
        .retain = qos == 0,
    };
    size_t packet = wire_publish(out, room, audience->settings->version, &message);
    connection_put(seat->connection, packet);
    if (packet == 0 || connection_flush(seat->connection) != 1) /* the broker does not read */
        lose(seat);
}

/* Totals as a feed publishes them, so many ahead of the subscribers as the window says: what waits
 * in the broker and the kernel is bounded. */
static void publish_totals(struct audience *audience)
{
    const struct crowd_settings *settings = audience->settings;
    struct audience_counts *counts = &audience->counts;
    const char *slash = strchr(settings->filter, '/');
    char payload[PAYLOAD_BYTES];
    while (counts->sent < settings->publish &&
           counts->deliveries + settings->window * audience->there >
               counts->sent * audience->there) {
        const uint64_t n = ++audience->published;
        counts->sent++;
        const struct total total = {.total = n, .count = n, .version = n};
        size_t bytes = total_write(payload, sizeof payload,
                                   slash == NULL ? settings->filter : slash + 1, &total);
        audience_publish(&audience->seat[audience->subscribers], settings->filter, payload, bytes,
                         0);
    }
}

static uint64_t pause_ns(struct audience *audience)
{
    uint64_t pause = audience->settings->pause_ms * MS_NS;
    return pause + splitmix_next(&audience->random) % pause;
}

static bool all_have_all_probes(const struct audience *audience)
{
    return audience->counts.latency.n >= audience->counts.sent * audience->there;
}

static void send_probes(struct audience *audience)
{
    const struct crowd_settings *settings = audience->settings;
    struct audience_counts *counts = &audience->counts;
    if (counts->sent == settings->probes)
        return;
    if (audience->next_ns == 0 && all_have_all_probes(audience))
        audience->next_ns = meter_now_ns() + pause_ns(audience);
    uint64_t now_ns = meter_now_ns();
    if (audience->next_ns == 0 || now_ns < audience->next_ns)
        return;
    audience->next_ns = settings->sequential ? 0 : now_ns + pause_ns(audience);
    struct seat *seat = &audience->seat[audience->subscribers + counts->sent];
    audience->probe_ns[counts->sent++] = now_ns;
    audience_publish(seat, settings->reactions, settings->kind, strlen(settings->kind), 1);
}

static void audience_react(struct audience *audience)
{
    const struct crowd_settings *settings = audience->settings;
    for (size_t i = 0; i < audience->subscribers; i++) {
        audience->counts.sent++;
        audience_publish(&audience->seat[i], settings->reactions, settings->kind,
                         strlen(settings->kind), 1);
    }
}

static bool is_complete(const struct audience *audience)
{
    const struct crowd_settings *settings = audience->settings;
    const struct audience_counts *counts = &audience->counts;
    bool answered = counts->acknowledged + counts->refused >= counts->sent;
    if (settings->publish > 0)
        return counts->sent == settings->publish &&
               counts->deliveries >= counts->sent * audience->there;
    if (settings->probes > 0)
        return counts->sent == settings->probes && answered && all_have_all_probes(audience);
    return answered;
}

static void go_on(struct audience *audience)
{
    if (!audience->begun || audience->counts.done_ns > 0)
        return;
    if (audience->settings->publish > 0)
        publish_totals(audience);
    else if (audience->settings->probes > 0)
        send_probes(audience);
    if (is_complete(audience))
        audience->counts.done_ns = meter_now_ns();
}

void audience_begin(struct audience *audience)
{
    struct audience_counts *counts = &audience->counts;
    if (audience->begun && audience->settings->probes > 0)
        return;
    counts->deliveries = counts->first_ns = counts->last_ns = 0;
    counts->sent = counts->acknowledged = counts->refused = counts->done_ns = 0;
    counts->begun_ns = meter_now_ns();
    counts->cpu_ns = meter_cpu_ns();
    audience->begun = true;
    audience->next_ns = counts->begun_ns + pause_ns(audience);
    if (audience->settings->react)
        audience_react(audience);
    go_on(audience);
}

/* --- the loop --- */

static int wait_of(const struct audience *audience, int wait_ms)
{
    uint64_t now_ns = meter_now_ns();
    if (!audience->begun || audience->next_ns == 0 || audience->counts.done_ns > 0 ||
        audience->settings->probes == 0)
        return wait_ms;
    uint64_t ms = audience->next_ns > now_ns ? (audience->next_ns - now_ns) / MS_NS + 1 : 0;
    return ms < (uint64_t)wait_ms ? (int)ms : wait_ms;
}

void audience_look(struct audience *audience, int wait_ms)
{
    const struct timespec nap = {.tv_nsec = (long)audience->settings->nap_us * 1000};
    struct epoll_event event[EVENTS];
    if (audience->begun && nap.tv_nsec > 0)
        nanosleep(&nap, NULL);
    int n = epoll_wait(audience->epoll, event, EVENTS, wait_of(audience, wait_ms));
    for (int i = 0; i < n; i++) {
        struct seat *seat = event[i].data.ptr;
        audience->now_ns = meter_now_ns();
        if (seat->connection != NULL && connection_read(seat->connection, on_frame, seat) != 0)
            lose(seat);
    }
    go_on(audience);
}

const struct audience_counts *audience_counts(const struct audience *audience)
{
    return &audience->counts;
}

struct audience_span audience_span(const struct audience *audience)
{
    struct audience_span span = {UINT64_MAX, 0, UINT64_MAX, 0};
    for (size_t i = 0; i < audience->subscribers; i++) {
        const struct seat *seat = &audience->seat[i];
        if (seat->version < span.least_version)
            span.least_version = seat->version;
        if (seat->version > span.most_version)
            span.most_version = seat->version;
        if (seat->total < span.least_total)
            span.least_total = seat->total;
        if (seat->total > span.most_total)
            span.most_total = seat->total;
    }
    return span;
}

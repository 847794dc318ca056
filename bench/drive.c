/* Opens the connections, keeps each as busy as its window or the rate allows, and counts the
 * answers. */
#include "drive.h"

#include "choice.h"
#include "connection.h"
#include "core/error.h"
#include "load_message.h"
#include "meter.h"
#include "pace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define OPENING                                                                                    \
    32 /* connections that wait for their CONNACK, under a broker's listen() backlog               \
        */
#define EVENTS 1024
#define LOOK_MS 100 /* at the clock and at `stop`, when nothing comes */
#define PUBACK_LEAST_BYTES 4
#define OUT_BYTES 8192
#define IN_BYTES 4096

struct peer {
    struct drive *drive;
    struct connection *connection; /* NULL: broken */
    struct choice_memory memory;
    bool awaits_room; /* EPOLLOUT is asked for */
    bool pinged, done;
    unsigned in_flight, free_ids; /* QoS 1 */
    uint16_t *free_id;            /* a stack; ids are 1 to window */
    uint64_t *sent_ns;            /* by id - 1; 0: not in flight */
};

struct drive {
    const struct load_settings *settings;
    const volatile sig_atomic_t *stop;
    struct choice *choice;
    struct load_messages *messages;
    int epoll;
    unsigned window;
    struct peer *peer;
    size_t peers;
    size_t turn; /* whose it is to send, at a rate */

    struct drive_counts *counts; /* of the run */
    uint64_t left;               /* to be sent */
    uint64_t now_ns;
    size_t busy; /* peers that are not done and not broken */
};

/* --- making and ending --- */

static int open_peer(struct drive *drive, const struct addrinfo *addresses, size_t i,
                     struct error *error)
{
    const struct load_settings *settings = drive->settings;
    struct peer *peer = &drive->peer[i];
    char id[LOAD_MESSAGE_READER_BYTES], reader[LOAD_MESSAGE_READER_BYTES];
    bool gateway = settings->reader_in_payload;
    load_message_reader(reader, settings->seed, settings->readers > 0 ? i % settings->readers : i);
    snprintf(id, sizeof id, "load-%d-%zu", (int)getpid(), i);
    const struct wire_login login = {
        .version = settings->version,
        .client_id = id,
        .username = gateway ? settings->username : reader,
        .password = gateway ? settings->password : NULL,
    };
    peer->drive = drive;
    choice_begin(&peer->memory, settings->seed, (uint32_t)i);
    peer->connection = connection_open(addresses, &login, OUT_BYTES, IN_BYTES, error);
    return peer->connection == NULL ? -1 : 0;
}

static int accept_peer(struct drive *drive, size_t i, struct error *error)
{
    struct peer *peer = &drive->peer[i];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    unsigned receive_maximum;
    if (connection_accepted(peer->connection, &receive_maximum, error) != 0)
        return -1;
    if (receive_maximum < drive->window)
        drive->window = receive_maximum;
    if (epoll_ctl(drive->epoll, EPOLL_CTL_ADD, connection_socket(peer->connection), &event) != 0)
        return error_set(error, "epoll: %s", strerror(errno));
    return 0;
}

static int open_peers(struct drive *drive, struct error *error)
{
    struct addrinfo *addresses;
    int answer = -1;
    if (connection_resolve(drive->settings->host, (unsigned)drive->settings->port, &addresses,
                           error) != 0)
        return -1;
    for (size_t i = 0; i < drive->peers + OPENING; i++) {
        if (i < drive->peers && open_peer(drive, addresses, i, error) != 0)
            goto done;
        if (i >= OPENING && accept_peer(drive, i - OPENING, error) != 0)
            goto done;
    }
    answer = 0;
done:
    freeaddrinfo(addresses);
    return answer;
}

static int make_windows(struct drive *drive)
{
    for (size_t i = 0; i < drive->peers; i++) {
        struct peer *peer = &drive->peer[i];
        peer->free_id = calloc(drive->window, sizeof *peer->free_id);
        peer->sent_ns = calloc(drive->window, sizeof *peer->sent_ns);
        if (peer->free_id == NULL || peer->sent_ns == NULL)
            return -1;
        while (peer->free_ids < drive->window) {
            peer->free_id[peer->free_ids] = (uint16_t)(drive->window - peer->free_ids);
            peer->free_ids++;
        }
    }
    return 0;
}

struct drive *drive_new(const struct load_settings *settings, const volatile sig_atomic_t *stop,
                        struct error *error)
{
    const struct choice_config choice = {
        .articles = (uint32_t)settings->articles,
        .zipf = settings->zipf,
        .kinds = (unsigned)settings->kinds,
        .changes = (unsigned)settings->changes,
        .retractions = (unsigned)settings->retractions,
        .readers = settings->readers,
    };
    struct drive *drive = calloc(1, sizeof *drive);
    if (drive == NULL)
        goto no_memory;
    drive->settings = settings;
    drive->stop = stop;
    drive->window = (unsigned)settings->window;
    drive->peers = settings->connections;
    drive->epoll = epoll_create1(EPOLL_CLOEXEC);
    drive->choice = choice_new(&choice);
    drive->peer = calloc(drive->peers, sizeof *drive->peer);
    drive->messages = load_message_new(settings);
    if (drive->epoll < 0 || drive->choice == NULL || drive->peer == NULL || drive->messages == NULL)
        goto no_memory;
    if (open_peers(drive, error) != 0)
        goto fail;
    if (make_windows(drive) != 0)
        goto no_memory;
    return drive;
no_memory:
    error_set(error, "no memory for so many connections and articles");
fail:
    drive_free(drive);
    return NULL;
}

void drive_free(struct drive *drive)
{
    if (drive == NULL)
        return;
    for (size_t i = 0; drive->peer != NULL && i < drive->peers; i++) {
        connection_free(drive->peer[i].connection);
        free(drive->peer[i].free_id);
        free(drive->peer[i].sent_ns);
    }
    free(drive->peer);
    choice_free(drive->choice);
    load_message_free(drive->messages);
    if (drive->epoll >= 0)
        close(drive->epoll);
    free(drive);
}

unsigned drive_window(const struct drive *drive)
{
    return drive->window;
}

/* --- a peer --- */

/* It is broken, and sends nothing more. What it had under way stays unanswered. */
static void drive_lose(struct peer *peer)
{
    struct drive *drive = peer->drive;
    connection_free(peer->connection);
    peer->connection = NULL;
    drive->counts->connections_lost++;
    drive->counts->unanswered += peer->in_flight;
    peer->in_flight = 0;
    if (!peer->done)
        drive->busy--;
}

static void drive_done(struct peer *peer)
{
    peer->done = true;
    peer->drive->busy--;
}

/* Asks to be told when the socket takes more, or no longer. */
static void await_room(struct peer *peer, bool awaits)
{
    struct epoll_event event = {.events = EPOLLIN | (awaits ? EPOLLOUT : 0u), .data.ptr = peer};
    if (awaits == peer->awaits_room)
        return;
    peer->awaits_room = awaits;
    (void)epoll_ctl(peer->drive->epoll, EPOLL_CTL_MOD, connection_socket(peer->connection), &event);
}

/* Puts the peer's next reaction into its buffer. False if there is no room. */
static bool put_reaction(struct peer *peer)
{
    struct drive *drive = peer->drive;
    char payload[LOAD_MESSAGE_PAYLOAD_MAX_BYTES];
    size_t room;
    unsigned char *out = connection_room(peer->connection, &room);
    if (room < LOAD_MESSAGE_PAYLOAD_MAX_BYTES + LOAD_MESSAGE_TOPIC_MAX_BYTES + 16)
        return false;
    struct choice_reaction reaction = choice_next(drive->choice, &peer->memory);
    size_t topic_bytes;
    const char *topic = load_message_topic(drive->messages, reaction.article, &topic_bytes);
    struct wire_message message = {
        .topic = topic,
        .topic_bytes = topic_bytes,
        .payload = payload,
        .payload_bytes = load_message_payload(drive->messages, &reaction, payload),
        .qos = (int)drive->settings->qos,
    };
    if (message.qos > 0) {
        message.id = peer->free_id[--peer->free_ids];
        peer->sent_ns[message.id - 1] = drive->now_ns;
        peer->in_flight++;
    }
    connection_put(peer->connection, wire_publish(out, room, drive->settings->version, &message));
    drive->left--;
    drive->counts->sent++;
    drive->counts->first += reaction.before < 0;
    drive->counts->standing += (uint64_t)((reaction.kind > 0) - (reaction.before > 0));
    return true;
}

static void put_ping(struct peer *peer)
{
    size_t room;
    unsigned char *out = connection_room(peer->connection, &room);
    connection_put(peer->connection, wire_pingreq(out, room));
    peer->pinged = true;
}

/* Of the window, so many are answered before more is sent: a write and a read for each reaction
 * would make the generator the bottleneck. */
static unsigned half_window(const struct drive *drive)
{
    return (drive->window + 1) / 2;
}

/* How many more the peer may have under way, or write at once. At a rate, send_due writes. */
static uint64_t allowance(const struct peer *peer)
{
    const struct drive *drive = peer->drive;
    unsigned most = (unsigned)drive->settings->burst;
    if (drive->settings->rate > 0)
        return 0;
    if (drive->settings->qos > 0)
        most = peer->free_ids >= half_window(drive) ? peer->free_ids : 0;
    return most < drive->left ? most : drive->left;
}

/* Asks to be told of answers when there are enough to send more, or all. */
static void await_answers(struct peer *peer)
{
    const struct drive *drive = peer->drive;
    unsigned enough = half_window(drive);
    if (drive->settings->qos == 0 || drive->settings->rate > 0)
        return;
    enough = enough > peer->free_ids ? enough - peer->free_ids : 1;
    if (enough > peer->in_flight)
        enough = peer->in_flight;
    connection_await(peer->connection, enough * PUBACK_LEAST_BYTES);
}

/* Sends what the peer may send now, and finds whether it is done. */
static void advance(struct peer *peer)
{
    struct drive *drive = peer->drive;
    int flushed = connection_flush(peer->connection);
    if (flushed == 1) {
        for (uint64_t n = allowance(peer); n > 0 && put_reaction(peer); n--)
            ;
        if (drive->left == 0 && drive->settings->qos == 0 && !peer->pinged)
            put_ping(peer);
        flushed = connection_flush(peer->connection);
    }
    if (flushed < 0) {
        drive_lose(peer);
        return;
    }
    await_answers(peer);
    bool sends_more = drive->settings->qos == 0 && drive->settings->rate == 0 && !peer->pinged;
    await_room(peer, flushed == 0 || sends_more);
    if (drive->left == 0 && drive->settings->qos > 0 && peer->in_flight == 0 && !peer->done)
        drive_done(peer);
}

/* --- what the broker says --- */

static int on_puback(struct peer *peer, const struct wire_frame *frame)
{
    struct drive *drive = peer->drive;
    uint16_t id;
    int reason;
    if (wire_read_puback(frame, &id, &reason) != 0 || id == 0 || id > drive->window ||
        peer->sent_ns[id - 1] == 0)
        return -1;
    latency_add(&drive->counts->latency, drive->now_ns - peer->sent_ns[id - 1]);
    peer->sent_ns[id - 1] = 0;
    peer->free_id[peer->free_ids++] = id;
    peer->in_flight--;
    if (reason < WIRE_FAILED)
        drive->counts->acknowledged++;
    else
        drive->counts->refused[reason - WIRE_FAILED]++;
    return 0;
}

static int on_frame(void *user, const struct wire_frame *frame)
{
    struct peer *peer = user;
    switch (frame->type) {
    case WIRE_PUBACK:
        return on_puback(peer, frame);
    case WIRE_PINGRESP:
        if (peer->pinged && !peer->done)
            drive_done(peer);
        return 0;
    default: /* DISCONNECT, or what a publisher does not get */
        return -1;
    }
}

static void on_event(struct peer *peer, uint32_t events)
{
    struct drive *drive = peer->drive;
    if (peer->connection == NULL)
        return;
    drive->now_ns = meter_now_ns();
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 &&
        connection_read(peer->connection, on_frame, peer) != 0) {
        drive_lose(peer);
        return;
    }
    if (!peer->done)
        advance(peer);
}

/* --- a rate --- */

/* Up to `most` reactions of the peer's, as far as its window and the socket allow. */
static uint64_t send_some(struct peer *peer, uint64_t most)
{
    struct drive *drive = peer->drive;
    uint64_t n = 0;
    if (peer->connection == NULL || connection_waiting(peer->connection) > 0)
        return 0;
    if (most > drive->settings->burst)
        most = drive->settings->burst;
    while (n < most && (drive->settings->qos == 0 || peer->free_ids > 0) && put_reaction(peer))
        n++;
    if (n > 0)
        advance(peer); /* which writes them */
    return n;
}

/* Sends what is due, the peers taking turns. What none of them may send waits. */
static void send_due(struct drive *drive)
{
    uint64_t elapsed_ns = drive->now_ns - drive->counts->begun_ns;
    uint64_t due = pace_due(drive->settings->rate, elapsed_ns) - drive->counts->sent;
    if (due > drive->left)
        due = drive->left;
    for (size_t refused = 0; due > 0 && refused < drive->peers;) {
        uint64_t sent = send_some(&drive->peer[drive->turn], due);
        drive->turn = (drive->turn + 1) % drive->peers;
        refused = sent > 0 ? 0 : refused + 1;
        due -= sent;
    }
}

/* How long epoll may wait. A millisecond at least where something is due that no peer may send. */
static int wait_ms(const struct drive *drive)
{
    if (drive->settings->rate == 0 || drive->left == 0)
        return LOOK_MS;
    uint64_t elapsed_ns = meter_now_ns() - drive->counts->begun_ns;
    uint64_t ms =
        pace_wait_ns(drive->settings->rate, elapsed_ns, drive->counts->sent) / 1000000 + 1;
    return ms < LOOK_MS ? (int)ms : LOOK_MS;
}

/* --- a run --- */

static void drive_begin(struct drive *drive, uint64_t reactions, struct drive_counts *counts)
{
    memset(counts, 0, sizeof *counts);
    drive->counts = counts;
    drive->left = reactions;
    drive->busy = 0;
    counts->cpu_ns = meter_cpu_ns();
    counts->begun_ns = drive->now_ns = meter_now_ns();
    for (size_t i = 0; i < drive->peers; i++) {
        struct peer *peer = &drive->peer[i];
        peer->pinged = false;
        peer->done = peer->connection == NULL;
        drive->busy += peer->connection != NULL;
    }
    for (size_t i = 0; i < drive->peers; i++) {
        drive->now_ns = meter_now_ns();
        if (!drive->peer[i].done)
            advance(&drive->peer[i]);
    }
}

/* All reactions are sent: tells each peer that would have sent more. */
static void end_sending(struct drive *drive)
{
    drive->left = 0;
    for (size_t i = 0; i < drive->peers; i++)
        if (!drive->peer[i].done && drive->peer[i].connection != NULL)
            advance(&drive->peer[i]);
}

/* At a rate, too, each peer is told when the last reaction was sent, not only the one that sent it.
 */
static bool must_end(const struct drive *drive, uint64_t stop_sending_ns)
{
    if (drive->left == 0)
        return drive->settings->rate > 0;
    return *drive->stop != 0 || drive->now_ns >= stop_sending_ns;
}

void drive_run(struct drive *drive, uint64_t reactions, struct drive_counts *counts)
{
    struct epoll_event event[EVENTS];
    drive_begin(drive, reactions, counts);
    uint64_t stop_sending_ns = counts->begun_ns + drive->settings->seconds * UINT64_C(1000000000);
    uint64_t stop_ns = stop_sending_ns + DRIVE_DRAIN_S * UINT64_C(1000000000);
    bool sending = true;
    while (drive->busy > 0 && drive->now_ns < stop_ns) {
        int n = epoll_wait(drive->epoll, event, EVENTS, wait_ms(drive));
        drive->now_ns = meter_now_ns();
        for (int i = 0; i < n; i++)
            on_event(event[i].data.ptr, event[i].events);
        if (drive->settings->rate > 0 && drive->left > 0)
            send_due(drive);
        if (sending && must_end(drive, stop_sending_ns)) {
            sending = false;
            end_sending(drive);
        }
        if (*drive->stop != 0 && drive->now_ns + DRIVE_DRAIN_S * UINT64_C(1000000000) < stop_ns)
            stop_ns = drive->now_ns + DRIVE_DRAIN_S * UINT64_C(1000000000);
    }
    counts->ended_ns = meter_now_ns();
    counts->cpu_ns = meter_cpu_ns() - counts->cpu_ns;
    for (size_t i = 0; i < drive->peers; i++)
        counts->unanswered += drive->peer[i].in_flight;
}

/* tally-sink: one subscriber that only counts what it is handed: the least that a program behind a
 * bare broker can do. Prints `ready` when it is subscribed, and at its end one line of JSON. */
#include "checked.h"
#include "connection.h"
#include "core/error.h"
#include "core/option.h"
#include "meter.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OUT_BYTES 65536
#define IN_BYTES (1u << 20)
#define LOOK_MS 100
#define PACKET_ID 1

struct settings {
    char host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t port;
    char protocol[OPTION_TEXT_MAX_BYTES + 1];
    char filter[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t qos, messages, seconds, nap_us;
};

struct sink {
    const struct settings *settings;
    enum wire_version version;
    struct connection *connection;
    bool subscribed;
    uint64_t counted, first_ns, last_ns, now_ns;
};

#define AT(name) offsetof(struct settings, name)
static const struct option OPTIONS[] = {
    {"host", OPTION_TEXT, AT(host), 1, OPTION_TEXT_MAX_BYTES, "127.0.0.1", "a name or address",
     "the broker"},
    {"port", OPTION_NUMBER, AT(port), 1, 65535, "1883", "1 to 65535", "its port, TCP"},
    {"protocol", OPTION_TEXT, AT(protocol), 1, OPTION_TEXT_MAX_BYTES, "5", "3.1.1 or 5",
     "version of MQTT"},
    {"filter", OPTION_TEXT, AT(filter), 1, OPTION_TEXT_MAX_BYTES, "reactions/#", "a topic filter",
     "what it subscribes to"},
    {"qos", OPTION_NUMBER, AT(qos), 0, 1, "0", "0 or 1", "highest QoS of delivery"},
    {"messages", OPTION_NUMBER, AT(messages), 1, 1000000000, "100000", "1 to 1000000000",
     "ends after this many"},
    {"seconds", OPTION_NUMBER, AT(seconds), 1, 3600, "60", "1 to 3600",
     "ends after this long at the latest"},
    {"nap_us", OPTION_NUMBER, AT(nap_us), 0, 100000, "1000", "0 to 100000",
     "between two reads, so that it takes many messages at once"},
};
#define OPTIONS_N (sizeof OPTIONS / sizeof OPTIONS[0])

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static int acknowledge(struct sink *sink, uint16_t id)
{
    size_t room;
    unsigned char *out = connection_room(sink->connection, &room);
    size_t bytes = wire_puback(out, room, id);
    if (bytes == 0) /* what waits is more than the socket took: the broker does not read */
        return -1;
    connection_put(sink->connection, bytes);
    return 0;
}

static int on_frame(void *user, const struct wire_frame *frame)
{
    struct sink *sink = user;
    uint16_t id;
    int reason, qos;
    if (frame->type == WIRE_SUBACK) {
        sink->subscribed =
            wire_read_suback(frame, sink->version, &reason) == 0 && reason < WIRE_FAILED;
        return sink->subscribed ? 0 : -1;
    }
    if (wire_read_publish(frame, &qos, &id) != 0)
        return -1;
    if (sink->counted++ == 0)
        sink->first_ns = sink->now_ns;
    sink->last_ns = sink->now_ns;
    return qos > 0 ? acknowledge(sink, id) : 0;
}

/* Reads and answers until `stop_ns`. -1 where the connection broke. */
static int sink_look(struct sink *sink)
{
    bool waiting = connection_waiting(sink->connection) > 0;
    struct pollfd fd = {.fd = connection_socket(sink->connection),
                        .events = (short)(POLLIN | (waiting ? POLLOUT : 0))};
    const struct timespec nap = {.tv_nsec = (long)sink->settings->nap_us * 1000};
    if (sink->subscribed && nap.tv_nsec > 0)
        nanosleep(&nap, NULL);
    int n = poll(&fd, 1, LOOK_MS);
    sink->now_ns = meter_now_ns();
    if (n <= 0)
        return n == 0 || errno == EINTR ? 0 : -1;
    if ((fd.revents & (POLLIN | POLLERR | POLLHUP)) != 0 &&
        connection_read(sink->connection, on_frame, sink) != 0)
        return -1;
    return connection_flush(sink->connection) < 0 ? -1 : 0;
}

static int sink_subscribe(struct sink *sink, struct error *error)
{
    const struct settings *settings = sink->settings;
    const struct wire_login login = {.version = sink->version, .client_id = "sink-of-the-bench"};
    struct addrinfo *addresses;
    unsigned receive_maximum;
    size_t room;
    if (connection_resolve(settings->host, (unsigned)settings->port, &addresses, error) != 0)
        return -1;
    sink->connection = connection_open(addresses, &login, OUT_BYTES, IN_BYTES, error);
    freeaddrinfo(addresses);
    if (sink->connection == NULL ||
        connection_accepted(sink->connection, &receive_maximum, error) != 0)
        return -1;
    unsigned char *out = connection_room(sink->connection, &room);
    connection_put(sink->connection, wire_subscribe(out, room, sink->version, PACKET_ID,
                                                    settings->filter, (int)settings->qos));
    if (connection_flush(sink->connection) != 1)
        return error_set(error, "cannot send SUBSCRIBE: %s", strerror(errno));
    return 0;
}

static int sink_run(struct sink *sink, struct error *error)
{
    uint64_t stop_ns = meter_now_ns() + sink->settings->seconds * UINT64_C(1000000000);
    bool said = false;
    if (sink_subscribe(sink, error) != 0)
        return -1;
    sink->now_ns = meter_now_ns();
    while (stop == 0 && sink->counted < sink->settings->messages && sink->now_ns < stop_ns) {
        if (sink_look(sink) != 0)
            return error_set(error,
                             "the broker ended the connection, or refused the subscription, after "
                             "%" PRIu64 " messages",
                             sink->counted);
        if (sink->subscribed && !said) {
            printf("ready\n");
            said = true;
        }
    }
    return said ? 0 : error_set(error, "no answer to SUBSCRIBE");
}

static int sink_parse(struct settings *settings, struct sink *sink, int argc, char **argv,
                      int *help, struct error *error)
{
    memset(settings, 0, sizeof *settings);
    int parsed = option_parse(OPTIONS, OPTIONS_N, settings, argc, argv, help, error);
    if (parsed != 0)
        return parsed;
    return checked_protocol(settings->protocol, &sink->version, error);
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct sink sink = {.settings = &settings};
    struct sigaction action = {.sa_handler = on_signal};
    struct error error;
    int help;
    int answer = sink_parse(&settings, &sink, argc, argv, &help, &error);
    if (answer == 1) {
        printf("tally-sink " TALLY_VERSION ": a subscriber that only counts\n");
        if (help == 'h')
            option_print(OPTIONS, OPTIONS_N, stdout);
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (answer == 0)
        answer = sink_run(&sink, &error);
    if (answer != 0)
        fprintf(stderr, "tally-sink: %s\n", error.text);
    else
        printf("{\"program\":\"tally-sink\",\"counted\":%" PRIu64 ",\"first_ns\":%" PRIu64
               ",\"last_ns\":%" PRIu64 ",\"cpu_seconds\":%.6f}\n",
               sink.counted, sink.first_ns, sink.last_ns, (double)meter_cpu_ns() / 1e9);
    connection_free(sink.connection);
    return answer == 0 ? 0 : 1;
}

/* tally-peer: what an able C programmer would put between a bare Mosquitto and Redis instead of
 * Tally, for the bench to compare with: libmosquitto, cJSON, hiredis, one thread. Each reader
 * counts once an article, as honest.lua has it. Prints `ready` once it is subscribed, and at its
 * end one line of JSON. */
#include "core/error.h"
#include "core/mqtt_protocol.h"
#include "core/option.h"
#include "meter.h"
#include "pipeline.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PREFIX "reactions/"
#define KEEPALIVE_S 60
#define LOOK_MS 100
#define TAKE_MAX 512 /* messages between two looks at Redis, so that it is not idle meanwhile */
#define NAP_NS                                                                                     \
    4000000 /* between two reads where few messages wait: the broker need not wake this program    \
               for each, and Redis gets many calls at once */

struct settings {
    char host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t port;
    char redis_host[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t redis_port;
    char script[OPTION_TEXT_MAX_BYTES + 1];
    uint64_t qos, messages, seconds;
};

struct peer {
    const struct settings *settings;
    struct mosquitto *mosquitto;
    struct pipeline *pipeline;
    bool subscribed, refused, no_memory;
    bool more; /* than it took may be there */
    uint64_t received, counted, bad, first_ns, last_ns;
    struct error *error;
};

#define AT(name) offsetof(struct settings, name)
static const struct option OPTIONS[] = {
    {"host", OPTION_TEXT, AT(host), 0, OPTION_TEXT_MAX_BYTES, "127.0.0.1", "a name or address",
     "the broker"},
    {"port", OPTION_NUMBER, AT(port), 1, 65535, "1883", "1 to 65535", "its port, TCP"},
    {"redis_host", OPTION_TEXT, AT(redis_host), 0, OPTION_TEXT_MAX_BYTES, "127.0.0.1",
     "a name or address", "Redis"},
    {"redis_port", OPTION_NUMBER, AT(redis_port), 1, 65535, "6390", "1 to 65535", "its port"},
    {"script", OPTION_TEXT, AT(script), 1, OPTION_TEXT_MAX_BYTES, NULL, "a file", "honest.lua"},
    {"qos", OPTION_NUMBER, AT(qos), 0, 1, "0", "0 or 1", "of the subscription"},
    {"messages", OPTION_NUMBER, AT(messages), 1, 1000000000, "100000", "1 to 1000000000",
     "ends after this many"},
    {"seconds", OPTION_NUMBER, AT(seconds), 1, 3600, "60", "1 to 3600",
     "ends after this long at the latest"},
};
#define OPTIONS_N (sizeof OPTIONS / sizeof OPTIONS[0])

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static bool is_kind(const char *kind)
{
    static const char *const KINDS[] = {"like",  "dislike", "love", "funny",
                                        "angry", "sad",     "wow",  "none"};
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
        if (strcmp(kind, KINDS[i]) == 0)
            return true;
    return false;
}

/* Hands a reaction to the pipeline. 0 if it is none. */
static int count(struct peer *peer, const struct mosquitto_message *message)
{
    const char *article = message->topic + strlen(PREFIX);
    cJSON *root = message->payload == NULL
                      ? NULL
                      : cJSON_ParseWithLength(message->payload, (size_t)message->payloadlen);
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "reaction"));
    const char *reader = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, "reader"));
    bool good =
        *article != '\0' && kind != NULL && is_kind(kind) && reader != NULL && *reader != '\0';
    if (good && pipeline_add(peer->pipeline, article, reader, kind) != 0)
        peer->no_memory = true;
    cJSON_Delete(root);
    return good;
}

static void on_message(struct mosquitto *mosquitto, void *user,
                       const struct mosquitto_message *message)
{
    struct peer *peer = user;
    (void)mosquitto;
    if (peer->received++ == 0)
        peer->first_ns = meter_now_ns();
    if (strncmp(message->topic, PREFIX, strlen(PREFIX)) != 0 || !count(peer, message))
        peer->bad++;
}

static void on_subscribe(struct mosquitto *mosquitto, void *user, int id, int n, const int *granted)
{
    struct peer *peer = user;
    (void)mosquitto;
    (void)id;
    peer->subscribed = n == 1 && granted[0] <= 2;
    peer->refused = !peer->subscribed;
}

static void on_connect(struct mosquitto *mosquitto, void *user, int code)
{
    struct peer *peer = user;
    if (code != 0 ||
        mosquitto_subscribe(mosquitto, NULL, PREFIX "#", (int)peer->settings->qos) != 0)
        peer->refused = true;
}

/* At QoS 1 the library writes each PUBACK by itself; corked, they go out together, and wake the
 * broker once. */
static void cork(const struct peer *peer, int on)
{
    if (peer->settings->qos > 0)
        (void)setsockopt(mosquitto_socket(peer->mosquitto), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

/* The most that the library reads in a call is one packet, of which it does not tell: so it is
 * asked until no message comes. */
static int peer_take(struct peer *peer)
{
    int code = MOSQ_ERR_SUCCESS;
    uint64_t begun = peer->received, before = UINT64_MAX;
    cork(peer, 1);
    while (code == MOSQ_ERR_SUCCESS && peer->received != before &&
           peer->received - begun < TAKE_MAX) {
        before = peer->received;
        code = mosquitto_loop_read(peer->mosquitto, 1);
    }
    cork(peer, 0);
    peer->more = peer->received - begun == TAKE_MAX;
    return code == MOSQ_ERR_SUCCESS
               ? 0
               : error_set(peer->error, "from the broker: %s", mosquitto_strerror(code));
}

static int answers(struct peer *peer)
{
    int n = pipeline_read(peer->pipeline, peer->error);
    if (n < 0)
        return -1;
    if (n > 0)
        peer->last_ns = meter_now_ns();
    peer->counted += (uint64_t)n;
    return 0;
}

/* Serves the broker's connection; `ready` has the events that its socket is ready for. */
static int serve_broker(struct peer *peer, short ready)
{
    if ((ready & ~POLLOUT) != 0 && peer_take(peer) != 0)
        return -1;
    int code = (ready & POLLOUT) != 0 ? mosquitto_loop_write(peer->mosquitto, 1) : MOSQ_ERR_SUCCESS;
    if (code == MOSQ_ERR_SUCCESS)
        code = mosquitto_loop_misc(peer->mosquitto);
    if (code != MOSQ_ERR_SUCCESS)
        return error_set(peer->error, "to the broker: %s", mosquitto_strerror(code));
    if (peer->refused)
        return error_set(peer->error, "the broker refuses the connection or the subscription");
    return peer->no_memory ? error_set(peer->error, "no memory") : 0;
}

/* One look at both sockets; at the broker's only where `taking`. */
static int peer_look(struct peer *peer, bool taking)
{
    bool sends = pipeline_waiting(peer->pipeline), writes = mosquitto_want_write(peer->mosquitto);
    struct pollfd fds[] = {
        {.fd = pipeline_socket(peer->pipeline), .events = (short)(POLLIN | (sends ? POLLOUT : 0))},
        {.fd = taking ? mosquitto_socket(peer->mosquitto) : -1,
         .events = (short)(POLLIN | (writes ? POLLOUT : 0))},
    };
    peer->more = false;
    if (poll(fds, 2, LOOK_MS) < 0)
        return errno == EINTR ? 0 : error_set(peer->error, "poll failed");
    if ((fds[0].revents & ~POLLOUT) != 0 && answers(peer) != 0)
        return -1;
    if (taking && serve_broker(peer, fds[1].revents) != 0)
        return -1;
    return pipeline_send(peer->pipeline, peer->error);
}

/* MQTT 5 alone can say how many messages at QoS 1 may be on their way: 3.1.1 gets the broker's
 * twenty. The socket's buffer is left to the kernel, which makes it larger than SO_RCVBUF may. */
static int connect_broker(struct peer *peer)
{
    peer->mosquitto = mosquitto_new(NULL, true, peer);
    if (peer->mosquitto == NULL)
        return error_set(peer->error, "no memory");
    mosquitto_int_option(peer->mosquitto, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(peer->mosquitto, MOSQ_OPT_RECEIVE_MAXIMUM, UINT16_MAX);
    mosquitto_int_option(peer->mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_connect_callback_set(peer->mosquitto, on_connect);
    mosquitto_subscribe_callback_set(peer->mosquitto, on_subscribe);
    mosquitto_message_callback_set(peer->mosquitto, on_message);
    int code = mosquitto_connect(peer->mosquitto, peer->settings->host, (int)peer->settings->port,
                                 KEEPALIVE_S);
    if (code != MOSQ_ERR_SUCCESS)
        return error_set(peer->error, "the broker at %s port %" PRIu64 ": %s", peer->settings->host,
                         peer->settings->port,
                         code == MOSQ_ERR_ERRNO /* libmosquitto 2.1 leaves another errno */
                             ? "connection refused, or no way to the host"
                             : mosquitto_strerror(code));
    return 0;
}

/* Takes until it is time to end, then only waits for the answers to what it has. */
static int peer_run(struct peer *peer)
{
    const struct settings *settings = peer->settings;
    const struct timespec nap = {.tv_nsec = NAP_NS};
    uint64_t stop_ns = meter_now_ns() + settings->seconds * UINT64_C(1000000000);
    bool said = false, taking = true;
    peer->pipeline = pipeline_open(settings->redis_host, (int)settings->redis_port,
                                   settings->script, peer->error);
    if (peer->pipeline == NULL || connect_broker(peer) != 0)
        return -1;
    while (peer->counted + peer->bad < (taking ? settings->messages : peer->received)) {
        if (peer_look(peer, taking) != 0)
            return -1;
        if (peer->subscribed && !said) {
            printf("ready\n");
            said = true;
        }
        if (said && !peer->more)
            nanosleep(&nap, NULL);
        taking = stop == 0 && meter_now_ns() < stop_ns;
    }
    return said ? 0 : error_set(peer->error, "no answer to SUBSCRIBE");
}

static void report(const struct peer *peer)
{
    printf("{\"program\":\"tally-peer\",\"received\":%" PRIu64 ",\"counted\":%" PRIu64
           ",\"bad\":%" PRIu64 ",\"first_ns\":%" PRIu64 ",\"last_ns\":%" PRIu64
           ",\"cpu_seconds\":%.6f}\n",
           peer->received, peer->counted, peer->bad, peer->first_ns, peer->last_ns,
           (double)meter_cpu_ns() / 1e9);
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct error error = {0};
    struct peer peer = {.settings = &settings, .error = &error};
    struct sigaction action = {.sa_handler = on_signal};
    int help;
    int answer = option_parse(OPTIONS, OPTIONS_N, &settings, argc, argv, &help, &error);
    if (answer == 1) {
        printf("tally-peer " TALLY_VERSION ": counts from a bare broker into Redis\n");
        if (help == 'h')
            option_print(OPTIONS, OPTIONS_N, stdout);
        return 0;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
    mosquitto_lib_init();
    if (answer == 0)
        answer = peer_run(&peer);
    if (answer == 0)
        report(&peer);
    else
        fprintf(stderr, "tally-peer: %s\n", error.text);
    mosquitto_destroy(peer.mosquitto);
    pipeline_free(peer.pipeline);
    mosquitto_lib_cleanup();
    return answer == 0 ? 0 : 1;
}

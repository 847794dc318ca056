/* Connects to each port, and sends nothing. */
#include "doctor_ports.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 2000

const char *doctor_ports_target(const char *address)
{
    if (strcmp(address, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(address, "::") == 0 ? "::1" : address;
}

/* Returns 0 once it is connected, else an errno. */
static int connect_within(int fd, const struct addrinfo *to)
{
    int result = 0;
    socklen_t bytes = sizeof result;
    struct pollfd waits = {.fd = fd, .events = POLLOUT};
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (poll(&waits, 1, CONNECT_MS) <= 0)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &bytes) == 0 ? result : errno;
}

/* Tries every address of the host. Returns 0, or -1 with a sentence. */
static int doctor_ports_connect(const char *host, const char *port, struct error *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int why = getaddrinfo(host, port, &hints, &found), result = ECONNREFUSED;
    if (why != 0)
        return error_set(error, "%s", gai_strerror(why));
    for (const struct addrinfo *to = found; to != NULL; to = to->ai_next) {
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        result = fd < 0 ? errno : connect_within(fd, to);
        if (fd >= 0)
            close(fd);
        if (result == 0)
            break;
    }
    freeaddrinfo(found);
    return result == 0 ? 0 : error_set(error, "%s", strerror(result));
}

static bool check_port(struct doctor_report *report, const char *what, const char *address,
                       const char *port, const char *see)
{
    struct error why;
    if (address == NULL || port == NULL)
        return false;
    const char *host = doctor_ports_target(address);
    if (doctor_ports_connect(host, port, &why) == 0) {
        doctor_report_add(report, DOCTOR_OK, "ports", "%s: %s port %s", what, host, port);
        return true;
    }
    doctor_report_add(report, DOCTOR_FAIL, "ports", "%s: %s port %s: %s: see systemctl status %s",
                      what, host, port, why.text, see);
    return false;
}

/* The programs' own view of the broker: it may be on another machine. */
static enum doctor_program client_of(const struct doctor_file *file)
{
    return doctor_file_value(file, DOCTOR_COLLECTOR, "mqtt_port") != NULL ? DOCTOR_COLLECTOR
                                                                          : DOCTOR_FEED;
}

void doctor_ports_check(const struct doctor_file *file, struct doctor_report *report,
                        struct doctor_ports *found)
{
    const enum doctor_program client = client_of(file);
    found->mqtt = check_port(report, "MQTT", doctor_file_value(file, client, "mqtt_host"),
                             doctor_file_value(file, client, "mqtt_port"), "mosquitto");
    (void)check_port(report, "WebSocket", doctor_file_value(file, DOCTOR_MOSQUITTO, "bind_address"),
                     doctor_file_value(file, DOCTOR_MOSQUITTO, "websocket_port"), "mosquitto");
    found->http = check_port(report, "HTTP", doctor_file_value(file, DOCTOR_FEED, "http_address"),
                             doctor_file_value(file, DOCTOR_FEED, "http_port"), "tally-feed");
}

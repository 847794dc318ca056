/* Drains a connection both ways before its DISCONNECT. */
#include "daemon/mqtt_goodbye.h"

#include <poll.h>

#define FLUSH_MS 500

void mqtt_goodbye_say(struct mosquitto *client)
{
    /* Unread input would make the kernel reset the connection, and the broker might miss the
     * DISCONNECT. */
    struct pollfd wait = {.fd = mosquitto_socket(client), .events = POLLIN};
    for (int i = 0; i < 1000 && wait.fd != -1 && poll(&wait, 1, 0) == 1; i++) {
        if (mosquitto_loop_read(client, 1) != MOSQ_ERR_SUCCESS)
            return;
        wait.fd = mosquitto_socket(client);
    }
    if (mosquitto_socket(client) == -1 || mosquitto_disconnect(client) != MOSQ_ERR_SUCCESS)
        return;
    for (int left_ms = FLUSH_MS; left_ms > 0; left_ms -= 50) {
        wait = (struct pollfd){.fd = mosquitto_socket(client), .events = POLLOUT};
        if (wait.fd == -1 || !mosquitto_want_write(client))
            return;
        if (poll(&wait, 1, 50) == 1 && mosquitto_loop_write(client, 1) != MOSQ_ERR_SUCCESS)
            return;
    }
}

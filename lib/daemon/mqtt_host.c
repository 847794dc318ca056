/* Turns a broker's name into one numeric address for each attempt to connect. */
#include "daemon/mqtt_host.h"

#include "daemon/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_MAX 16
#define ADDRESS_BYTES 64
#define WHY_BYTES 160

struct mqtt_host {
    mqtt_host_cb *fn;
    void *user;
    struct names *names; /* NULL: the host is an address */
    unsigned turn;       /* of the name's addresses */
    char host[];
};

static void on_found(void *user, struct addrinfo *found, const char *why)
{
    struct mqtt_host *at = user;
    const struct addrinfo *one = found;
    unsigned addresses = 0;
    char text[ADDRESS_BYTES], words[WHY_BYTES];
    for (const struct addrinfo *i = found; i != NULL && addresses < ADDRESSES_MAX; i = i->ai_next)
        addresses++;
    for (unsigned skip = addresses > 0 ? at->turn++ % addresses : 0; skip > 0; skip--)
        one = one->ai_next;
    int rc = one == NULL ? 0
                         : getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0,
                                       NI_NUMERICHOST);
    snprintf(words, sizeof words, "%.60s cannot be resolved: %s", at->host,
             rc == 0 ? why : gai_strerror(rc));
    if (found != NULL)
        freeaddrinfo(found);
    at->fn(at->user, one != NULL && rc == 0 ? text : NULL, words);
}

struct mqtt_host *mqtt_host_new(struct event_base *base, const char *host, mqtt_host_cb *fn,
                                void *user)
{
    size_t bytes = strlen(host) + 1;
    struct mqtt_host *at = calloc(1, sizeof *at + bytes);
    if (at == NULL)
        return NULL;
    at->fn = fn;
    at->user = user;
    memcpy(at->host, host, bytes);
    if (names_is_address(host))
        return at;
    at->names = names_new(base, host, on_found, at);
    if (at->names == NULL) {
        free(at);
        return NULL;
    }
    return at;
}

void mqtt_host_free(struct mqtt_host *at)
{
    if (at == NULL)
        return;
    names_free(at->names);
    free(at);
}

void mqtt_host_ask(struct mqtt_host *at)
{
    if (at->names == NULL)
        at->fn(at->user, at->host, "");
    else if (names_ask(at->names) != 0)
        on_found(at, NULL, "no thread can be started");
}

void mqtt_host_cancel(struct mqtt_host *at)
{
    if (at->names != NULL)
        names_cancel(at->names);
}

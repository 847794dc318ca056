/* Reads MQTT 5 properties where the broker has them, without a copy. */
#include "property.h"

#include <stdint.h>
#include <string.h>

/* MQTT 5, 2.2.2.2 */
#define RESPONSE_TOPIC 8
#define CORRELATION_DATA 9

struct text {
    char *bytes;
    uint16_t n;
};

/* The beginning of struct mqtt5__property. */
struct property {
    struct property *next;
    union {
        uint32_t number;
        struct text text;
    } value;
    struct text name;
    int32_t identifier;
};

void property_find(const void *list, struct property_view *view)
{
    memset(view, 0, sizeof *view);
    for (const struct property *one = list; one != NULL; one = one->next) {
        if (one->identifier == RESPONSE_TOPIC) {
            /* An empty one has no bytes, but is still present. */
            view->response_topic = one->value.text.bytes == NULL ? "" : one->value.text.bytes;
            view->response_topic_bytes = one->value.text.n;
        } else if (one->identifier == CORRELATION_DATA) {
            view->correlation = (const unsigned char *)one->value.text.bytes;
            view->correlation_bytes = one->value.text.n;
        }
    }
}

bool property_fits(const void *list, const char *response_topic, const unsigned char correlation[4])
{
    const struct property *first = list;
    struct property_view view;

    /* Step by step: no pointer is followed before it is verified. */
    if (first == NULL || first->identifier != RESPONSE_TOPIC || first->next == NULL ||
        first->next->identifier != CORRELATION_DATA || first->next->next != NULL)
        return false;
    property_find(list, &view);
    return view.response_topic_bytes == strlen(response_topic) && view.correlation_bytes == 4 &&
           strcmp(view.response_topic, response_topic) == 0 &&
           memcmp(view.correlation, correlation, 4) == 0;
}

/* A modelled broker on each edge, with the plugin's admission in it: what it retains, its
 * connections to collector and feed (mqtt_link.h, which the real programs call), its subscribers,
 * and the readers' messages to and from it, which may be lost, delayed, repeated and reordered. A
 * broker that is killed forgets all that it retained, as persistence is off. One thread. */
#ifndef TALLY_SIMULATION_BROKER_H
#define TALLY_SIMULATION_BROKER_H

#include "platform.h"
#include "world.h"

#include <stdbool.h>
#include <stdint.h>

#define BROKER_PAYLOAD_BYTES 640 /* of any message, at most */
#define BROKER_REPEAT_MS 5000    /* a total is repeated after */
#define BROKER_SUBSCRIBERS 2     /* an edge; the second comes and goes */

struct broker_total {
    bool known;
    uint64_t version;
    int64_t count[WORLD_KINDS + 1];
};

struct broker_subscriber {
    bool online;
    struct broker_total total[WORLD_ARTICLES]; /* the newest that it was shown */
    bool missed[WORLD_ARTICLES];               /* a delivery was dropped, and none came since */
    uint64_t missed_version[WORLD_ARTICLES], missed_us[WORLD_ARTICLES];
    bool
        missed_old[WORLD_ARTICLES]; /* published so late after its change that it is not repeated */
};

struct broker {
    bool up;
    struct broker_total retained[WORLD_ARTICLES];
    char mark[BROKER_PAYLOAD_BYTES]; /* ops/feed, "" none */
    char collector[64];
    struct broker_subscriber subscriber[BROKER_SUBSCRIBERS];
    char collector_reason[256]; /* of the last status that the collector made */
    bool collector_ready;
};

extern struct broker broker[WORLD_EDGES];

void broker_begin(void);

/* The broker starts (the plugin opens the spool: `steps`, see files_produce) or is killed. */
void broker_start(unsigned edge, int steps);
void broker_kill(unsigned edge);

/* It works through up to `n` packets that its clients sent. Returns how many. */
unsigned broker_work(unsigned edge, enum platform_kind from, unsigned n);

/* Whether something has come for a process over MQTT; delivers it. */
bool broker_due(const struct event_base *process);
void broker_deliver(struct event_base *process, unsigned n);
void broker_killed(const struct event_base *process);

/* The connection between a process and its broker is cut: what is under way is lost. */
void broker_cut(const struct event_base *process);

/* A message of a reader to the broker; `plain`: a client that repeats without an age. Sent with
 * MQTT 5 at QoS 1, response topic and correlation data. */
struct broker_message {
    unsigned reader, edge, article;
    int kind;
    uint32_t send; /* its number: the correlation data */
    uint64_t click_us, sent_us;
    uint32_t age_ms;
};

/* The message reaches the broker. `torn`: the broker is killed in the middle of the append.
 * Returns whether the reader is answered with a success. */
bool broker_admit(const struct broker_message *message, bool torn);

/* The subscriber that comes and goes does so. */
void broker_subscribe(unsigned edge, bool online);

/* In how many of 100 deliveries a subscriber's is dropped. */
extern uint32_t broker_drops_percent;

#endif

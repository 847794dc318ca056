/* How readers reach the broker: the address that the pages use, and what is open to the world.
 * One thread. */
#ifndef TALLY_CLI_DOCTOR_REACH_H
#define TALLY_CLI_DOCTOR_REACH_H

#include "doctor_file.h"
#include "doctor_report.h"

#include <stdbool.h>

struct doctor_reach {
    const char *websocket_url;           /* of the feed */
    const char *feed_port, *broker_port; /* websocket_port of the feed, of Mosquitto */
    const char *bind_address;            /* of Mosquitto */
    bool own_tls;                        /* one of the listeners in its folder has a certificate */
    const char *trusted_proxies;         /* of the broker */
    bool allow_wildcards, auto_id_may_react, limits; /* likewise */
};

void doctor_reach_check(const struct doctor_file *file, struct doctor_report *report);

/* Pure. */
void doctor_reach_judge(struct doctor_report *report, const struct doctor_reach *reach);

#endif

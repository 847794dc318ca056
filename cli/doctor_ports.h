/* Whether the ports of tally.conf are listened on. One thread; blocks for 2 s an address at most.
 */
#ifndef TALLY_CLI_DOCTOR_PORTS_H
#define TALLY_CLI_DOCTOR_PORTS_H

#include "doctor_file.h"
#include "doctor_report.h"

#include <stdbool.h>

struct doctor_ports {
    bool mqtt, http; /* listened on */
};

void doctor_ports_check(const struct doctor_file *file, struct doctor_report *report,
                        struct doctor_ports *found);

/* Where to connect to a listener at this address: the loopback for 0.0.0.0 and ::. Pure. */
const char *doctor_ports_target(const char *address);

#endif

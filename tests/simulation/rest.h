/* How a schedule comes to rest. One thread. */
#ifndef TALLY_SIMULATION_REST_H
#define TALLY_SIMULATION_REST_H

#define REST_BEHIND_MS (-1500) /* a clock of Redis that a collector is ready with */

/* Everything that is under way arrives. */
void rest_settle(void);

/* Repairs every fault, lets time pass until the system is at rest, and
 * judges the end (world_wrong). */
void rest_come(void);

#endif

/* `tally drain`: waits until nothing of an edge's spool is left to apply. Changes nothing.
 * Returns the exit status (command.h). */
#ifndef TALLY_CLI_DRAIN_H
#define TALLY_CLI_DRAIN_H

int drain_run(int argc, char **argv);

#endif

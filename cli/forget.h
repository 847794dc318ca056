/* `tally forget`: adds the numbers of an edge that is gone for good to its shards' books, and drops
 * the fields of its rings. Returns the exit status (command.h). */
#ifndef TALLY_CLI_FORGET_H
#define TALLY_CLI_FORGET_H

int forget_run(int argc, char **argv);

#endif

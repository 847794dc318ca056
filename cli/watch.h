/* `tally watch`: what an edge does now. */
#ifndef TALLY_CLI_WATCH_H
#define TALLY_CLI_WATCH_H

/* Returns the exit status. */
int watch_run(int argc, char **argv);

#endif

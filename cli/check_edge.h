/* `tally check-edge`: compares what this edge is configured with and what the store and another
 * edge have. Changes nothing. */
#ifndef TALLY_CLI_CHECK_EDGE_H
#define TALLY_CLI_CHECK_EDGE_H

int check_edge_run(int argc, char **argv);

#endif

/* `tally top`: the articles with the highest totals. */
#ifndef TALLY_CLI_TOP_H
#define TALLY_CLI_TOP_H

/* Returns the exit status. */
int top_run(int argc, char **argv);

#endif

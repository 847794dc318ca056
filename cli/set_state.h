/* `tally article`: an article's state, shown or changed on the broker (INTERFACES.md 2.9). Returns
 * the exit status (command.h). */
#ifndef TALLY_CLI_SET_STATE_H
#define TALLY_CLI_SET_STATE_H

int set_state_run(int argc, char **argv);

#endif

/* `tally export`: every article's counts, one line each (INTERFACES.md 7). Returns the exit status
 * (command.h). */
#ifndef TALLY_CLI_EXPORT_H
#define TALLY_CLI_EXPORT_H

int export_run(int argc, char **argv);

#endif

/* `tally import`: makes earlier counts into articles' bases (FORMATS.md 5.4, 7). Returns the exit
 * status (command.h). */
#ifndef TALLY_CLI_IMPORT_H
#define TALLY_CLI_IMPORT_H

int import_run(int argc, char **argv);

#endif

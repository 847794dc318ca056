/* `tally erase`: deletes one reader's registers in every article (FORMATS.md 5.4). Returns the exit
 * status (command.h). */
#ifndef TALLY_CLI_ERASE_H
#define TALLY_CLI_ERASE_H

int erase_run(int argc, char **argv);

#endif

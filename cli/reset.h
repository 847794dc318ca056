/* `tally reset` and `tally archive`: restart an article from zero, replay-safe (FORMATS.md 5.4).
 * They return the exit status (command.h). */
#ifndef TALLY_CLI_RESET_H
#define TALLY_CLI_RESET_H

int reset_run(int argc, char **argv);
int reset_archive_run(int argc, char **argv);

#endif

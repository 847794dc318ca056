/* Shared by the operator's commands: options, secrets, exit status, opening the store. One thread.
 */
#ifndef TALLY_CLI_COMMAND_H
#define TALLY_CLI_COMMAND_H

#include "operate_settings.h"
#include "store_edit.h"

/* Exit status. */
#define COMMAND_DONE 0
#define COMMAND_REFUSED                                                                            \
    1                    /* not allowed: the refused part is unchanged; prints the reason          \
                          */
#define COMMAND_FAILED 2 /* failed: options, files, Redis, the broker */

/* Parses the options (or prints them), loads the secrets, runs. Returns the exit status. */
int command_run(enum operate_command command, int argc, char **argv,
                int (*run)(const struct operate_settings *settings,
                           const struct links_secrets *secrets));

/* Print a sentence on stderr, "tally reset: …". Each returns the status in its name. */
int command_refused(const struct operate_settings *settings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int command_failed(const struct operate_settings *settings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Opens the store, and (edit not NULL) what changes it. First deletes dropped registers that a
 * killed command left, unless the command changes nothing. NULL on failure, which it has reported.
 */
struct store_view *command_open(const struct operate_settings *settings,
                                const struct links_secrets *secrets, struct store_edit **edit);
void command_close(struct store_view *store, struct store_edit *edit);

/* After a command that changed something: waits for a replica (store_edit_replicate). Returns
 * `status`, or COMMAND_FAILED after reporting that it is not replicated. */
int command_replicated(const struct operate_settings *settings, struct store_edit *edit,
                       int status);

/* Call after the last line: COMMAND_FAILED if standard output did not take everything, else
 * `status`. */
int command_printed(const struct operate_settings *settings, int status);

#endif

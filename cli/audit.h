/* `tally audit`: wires the parts. Returns the exit status: 0 everything is consistent, 1 something
 * differs, 2 something could not be checked. */
#ifndef TALLY_CLI_AUDIT_H
#define TALLY_CLI_AUDIT_H

int audit_run(int argc, char **argv);

#endif

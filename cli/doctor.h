/* `tally doctor`: looks at a whole deployment, from tally.conf on, and says what to mend. Changes
 * nothing. */
#ifndef TALLY_CLI_DOCTOR_H
#define TALLY_CLI_DOCTOR_H

int doctor_run(int argc, char **argv);

#endif

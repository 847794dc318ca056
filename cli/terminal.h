/* Standard output as a full screen, if it is a terminal. Puts everything back at the end. One
 * thread. */
#ifndef TALLY_CLI_TERMINAL_H
#define TALLY_CLI_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

/* Zeroed: not open. */
struct terminal {
    bool open;
    bool keys; /* standard input is a terminal, too: keys come at once, and are not shown */
    struct termios before;
};

/* Whether standard output is one. */
bool terminal_there(void);

/* Switches to the alternate screen, without a cursor. Keys that would stop the program, and leave
 * that screen, do nothing; the interrupt key still sends SIGINT. */
void terminal_open(struct terminal *terminal);

/* Does nothing if it is not open. */
void terminal_close(struct terminal *terminal);

/* 80 × 24 if it does not say. */
void terminal_size(unsigned *columns, unsigned *rows);

#endif

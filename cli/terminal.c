/* The escapes are those of every terminal since xterm. */
#include "terminal.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool terminal_there(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

void terminal_open(struct terminal *terminal)
{
    struct termios quiet;
    terminal->keys = tcgetattr(STDIN_FILENO, &terminal->before) == 0;
    if (terminal->keys) {
        quiet = terminal->before;
        quiet.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        quiet.c_cc[VSUSP] = _POSIX_VDISABLE;
        quiet.c_cc[VQUIT] = _POSIX_VDISABLE;
        terminal->keys = tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
    }
    terminal->open = true;
    fputs("\x1b[?1049h\x1b[?25l", stdout);
}

void terminal_close(struct terminal *terminal)
{
    if (!terminal->open)
        return;
    fputs("\x1b[?25h\x1b[?1049l", stdout);
    fflush(stdout);
    if (terminal->keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
    terminal->open = false;
}

void terminal_size(unsigned *columns, unsigned *rows)
{
    struct winsize size = {0};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *columns = size.ws_col > 0 ? size.ws_col : 80;
    *rows = size.ws_row > 0 ? size.ws_row : 24;
}

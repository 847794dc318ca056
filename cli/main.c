/* tally: the operator's command. Each row is a sub-command; see DESIGN for the rest. */
#include "audit.h"
#include "check_edge.h"
#include "doctor.h"
#include "drain.h"
#include "erase.h"
#include "export.h"
#include "forget.h"
#include "import.h"
#include "mosquitto_conf.h"
#include "reset.h"
#include "set_state.h"
#include "top.h"
#include "watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static const struct {
    const char *name, *help;
    int (*run)(int argc,
               char **argv); /* argv[0] is the sub-command's name; returns the exit status */
} commands[] = {
    {"audit", "prove that no reaction was lost or counted twice, while the system runs", audit_run},
    {"check-edge", "compare what must agree before this edge joins others on one Redis",
     check_edge_run},
    {"doctor", "look at the whole deployment, and say what to mend", doctor_run},
    {"mosquitto-conf", "write the broker's configuration from tally.conf", mosquitto_conf_run},
    {"article", "show or set an article's state: open, closed, its kinds and times", set_state_run},
    {"reset", "start an article again; late reactions from before count for nothing", reset_run},
    {"archive", "keep a closed article's counts as numbers alone", reset_archive_run},
    {"export", "write every article's counts as CSV or JSON lines", export_run},
    {"import", "read old counts, which are added to readers' reactions", import_run},
    {"drain", "wait until nothing of this edge's spool is left to apply: it may be switched off",
     drain_run},
    {"forget", "add an edge that is gone for good to the books, and drop its rings", forget_run},
    {"watch", "show what an edge does now: rates, refusals, lag, the hottest articles", watch_run},
    {"top", "show the articles with the highest totals", top_run},
    {"erase", "delete all that is stored of one reader", erase_run},
};

static void usage(FILE *out)
{
    fprintf(out, "usage: tally COMMAND [ARTICLE] [--option=value …]; tally COMMAND --help lists "
                 "its options\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].help);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    (void)signal(SIGPIPE, SIG_IGN);
    if (strcmp(name, "--version") == 0) {
        puts("tally " TALLY_VERSION);
        return EXIT_SUCCESS;
    }
    if (strcmp(name, "--help") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (*name != '\0')
        fprintf(stderr, "tally: %s is not a command\n", name);
    usage(stderr);
    return EXIT_USAGE;
}

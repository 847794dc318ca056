/* The list of articles in an option: all, or some separated by commas. Pure; any thread. */
#ifndef TALLY_CLI_ARTICLE_LIST_H
#define TALLY_CLI_ARTICLE_LIST_H

#include "core/error.h"
#include "core/option.h"

#include <stddef.h>

#define ARTICLE_LIST_MAX 128 /* as many as an option's 255 bytes can name */
#define ARTICLE_LIST_ACCEPTS "all, or articles separated by commas"

struct article_list {
    size_t n; /* 0: all */
    const char *of[ARTICLE_LIST_MAX];
    char text[OPTION_TEXT_MAX_BYTES + 1]; /* they point into it: do not copy */
};

/* Returns 0, or -1 with a sentence about the option `articles` in `error`. Duplicates are dropped.
 */
int article_list_parse(struct article_list *list, const char *option, struct error *error);

#endif

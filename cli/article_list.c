/* Parses the list, and refuses what is not an article id. */
#include "article_list.h"

#include "core/article.h"
#include "core/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int article_list_parse(struct article_list *list, const char *option, struct error *error)
{
    char *rest = list->text, *one;
    list->n = 0;
    if (strcmp(option, "all") == 0)
        return 0;
    snprintf(list->text, sizeof list->text, "%s", option);
    while ((one = strsep(&rest, ",")) != NULL) {
        if (!article_valid(one, strlen(one)))
            return error_set(error, "option articles: \"%s\" is not " ARTICLE_LIST_ACCEPTS, one);
        bool twice = false;
        for (size_t i = 0; i < list->n && !twice; i++)
            twice = strcmp(list->of[i], one) == 0;
        if (!twice && list->n < ARTICLE_LIST_MAX)
            list->of[list->n++] = one;
    }
    return 0;
}

/* Forgets articles that hardly anyone touched (INTERFACES.md 2.10, FORMATS.md 5.5). The broker's
 * plugin proposes articles; Redis decides. Each feed later removes what is left of them, whichever
 * feed forgot them. Its only own event is a timer. Loop thread only. */
#ifndef TALLY_FEED_FORGET_H
#define TALLY_FEED_FORGET_H

#include "core/article.h"
#include "publish.h"
#include "store_link.h"

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#define FORGET_LIST_MAX 100
#define FORGET_READERS_MAX 16

/* One article that may be forgotten. */
struct forget_one {
    size_t bytes;
    char article[ARTICLE_MAX_BYTES + 1];
    char readers[FORGET_READERS_MAX * 8 + 1]; /* 8 hex digits each */
};

struct forget_list {
    uint64_t quiet_s;
    size_t n;
    struct forget_one one[FORGET_LIST_MAX];
};

/* Reads ops/quiet. Returns 0, or -1 if it is not such a list. Pure. */
int forget_parse(struct forget_list *list, const char *json, size_t bytes);

struct forget;

/* `forgotten_s`: the delay before a forgotten article is swept. NULL on no memory. */
struct forget *forget_new(struct event_base *base, uint64_t forgotten_s);

/* Before this, and after the store link and publish are freed, no other function may be called but
 * forget_free. */
void forget_connect(struct forget *forget, struct store_link *link, struct publish *publish);

void forget_free(struct forget *forget);

/* A list arrived on ops/quiet: it replaces the rest of the previous list. */
void forget_heard(struct forget *forget, const char *json, size_t bytes);

#endif

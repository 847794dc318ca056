/* What the broker gets: totals, receipts, and what subscribers end with. */
#include "judge_state.h"

#include <stdio.h>
#include <string.h>

void judge_shown_total(unsigned edge, unsigned article, const struct broker_total *total)
{
    judge_counts.totals++;
    if (total->version < judge.published[edge][article] && world.max_articles > WORLD_ARTICLES)
        world_wrong("the feed of edge %u published a lower version of article %u than before", edge,
                    article);
    judge.published[edge][article] = total->version;
    for (unsigned i = judge.n_shown; i-- > 0;)
        if (judge.shown[i].article == article && judge.shown[i].version == total->version) {
            if (memcmp(judge.shown[i].count, total->count, sizeof total->count) == 0)
                return;
            if (judge.happened[JUDGE_WIPED] || judge.same_version[article])
                continue; /* two stores may give the same version, of which one was never shown */
            world_wrong("a total of article %u is not what it was at its version", article);
            return;
        }
    world_wrong("a total of article %u has a version that never was", article);
}

static bool says(const char *payload, const char *name, const char *value)
{
    char want[64];
    snprintf(want, sizeof want, "\"%s\":\"%s\"", name, value);
    return strstr(payload, want) != NULL;
}

static bool is_true(const struct judge_request *request, const char *payload)
{
    if (!says(payload, "reaction", world.kinds.name[request->kind]))
        return false;
    if (says(payload, "outcome", request->kind == 0 ? "retracted" : "counted"))
        return (request->vouched & 1) != 0;
    if (!says(payload, "outcome", "superseded"))
        return false;
    for (int kind = 0; kind <= WORLD_KINDS; kind++)
        if (says(payload, "current", world.kinds.name[kind]))
            return (request->vouched & 1u << (1 + kind)) != 0;
    return false;
}

void judge_shown_receipt(const char *client, const char *payload, const unsigned char *correlation,
                         size_t bytes)
{
    uint32_t send = 0;
    judge_counts.receipts++;
    if (bytes == sizeof send)
        memcpy(&send, correlation, sizeof send);
    for (unsigned i = 0; i < judge.n_requests; i++)
        if (judge.requests[i].send == send && client[4] - '0' == (int)judge.requests[i].reader &&
            strstr(payload, world.article[judge.requests[i].article].name) != NULL &&
            is_true(&judge.requests[i], payload))
            return;
    world_wrong("a receipt is not true: message %u of %s: %s", send, client, payload);
}

static bool total_fits(const struct broker_total *total, unsigned article)
{
    int64_t count[KIND_MAX + 1];
    uint64_t version;
    redis_total(article, count, &version);
    return total->version == version &&
           memcmp(total->count + 1, count + 1, sizeof total->count - sizeof total->count[0]) == 0;
}

bool judge_shown_done(struct error *why)
{
    for (unsigned e = 0; e < world.edges; e++)
        for (unsigned a = 0; a < world.articles; a++) {
            const struct redis_head *head = &redis_shard(world.article[a].shard)->head[a];
            if ((!head->exists && !broker[e].retained[a].known) || judge.same_version[a] ||
                (head->exists && total_fits(&broker[e].retained[a], a)))
                continue;
            error_set(why, "edge %u does not show article %u's total", e, a);
            return false;
        }
    return true;
}

void judge_shown_subscribers(unsigned edge)
{
    for (int i = 0; i < BROKER_SUBSCRIBERS; i++) {
        const struct broker_subscriber *subscriber = &broker[edge].subscriber[i];
        for (unsigned a = 0; a < world.articles; a++) {
            bool excused = world.max_articles <= WORLD_ARTICLES || subscriber->missed_old[a] ||
                           judge.interrupted_us[edge] >= subscriber->missed_us[a];
            if (!subscriber->online || !broker[edge].retained[a].known ||
                (subscriber->missed[a] && excused))
                continue;
            if (subscriber->total[a].version != broker[edge].retained[a].version)
                world_wrong("a subscriber of edge %u does not end at article %u's newest total",
                            edge, a);
        }
    }
}

/* What must hold at rest: registers, last clicks, books. */
#include "judge_state.h"

#include <inttypes.h>

#define CLICK_MARGIN_US 2000

static uint64_t register_of(unsigned reader, unsigned article)
{
    uint32_t shard = world.article[article].shard;
    return judge_kinds_world(redis_value(shard, article, world.hash[reader][article]));
}

/* The register holds the newest of what must have counted, or one of what may have. Of two with one
 * stamp the greater id wins, which is another in each store. */
static void check_register(unsigned reader, unsigned article)
{
    uint64_t held = register_of(reader, article);
    uint64_t least = 0;
    bool made = held == 0;
    for (unsigned i = 0; i < judge.n_requests; i++) {
        const struct judge_request *request = &judge.requests[i];
        if (request->reader != reader || request->article != article)
            continue;
        made = made || judge_kinds_same(request->value, held);
        if (!request->optional && request->value > least)
            least = request->value;
    }
    if (!made)
        world_wrong("reader %u's register on article %u holds what was never requested", reader,
                    article);
    if (held < least && !(world.kinds_differ && held >> 4 == least >> 4))
        world_wrong("an acknowledged reaction is lost: reader %u article %u", reader, article);
}

/* The last click wins, where DESIGN promises it: ages are told, clocks are right, and no message
 * was under way longer than the pause between the clicks. */
static void check_click(unsigned reader, unsigned article)
{
    uint64_t held = register_of(reader, article);
    const struct judge_request *last = NULL;
    for (unsigned i = 0; i < judge.n_requests; i++) {
        const struct judge_request *request = &judge.requests[i];
        if (request->reader != reader || request->article != article)
            continue;
        if (request->optional || !request->clock_good)
            return;
        if (last == NULL || request->click_us >= last->click_us)
            last = request;
    }
    for (unsigned i = 0; i < judge.n_requests && last != NULL; i++) {
        const struct judge_request *request = &judge.requests[i];
        if (request->reader == reader && request->article == article &&
            request->kind != last->kind &&
            request->flight_us + CLICK_MARGIN_US >= last->click_us - request->click_us)
            return;
    }
    if (last != NULL && !judge.confused && (held & 15) != (uint64_t)last->kind)
        world_wrong("reader %u's last click on article %u does not win", reader, article);
}

/* admitted = applied + quarantined + lost, once nothing is in the rings. */
static void check_books(unsigned edge, unsigned shard)
{
    const struct redis_shard *redis_of = redis_shard(shard);
    uint64_t admitted = 0, reckoned = 0, lost = (uint64_t)redis_of->lost[edge], optional = 0;
    if (judge.happened[JUDGE_POWER] || judge.happened[JUDGE_DAMAGE] || judge.happened[JUDGE_WIPED])
        return;
    for (unsigned i = 0; i < judge.n_requests; i++) {
        admitted += judge.requests[i].edge == edge && judge.requests[i].shard == shard &&
                    (!judge.requests[i].torn || judge.requests[i].recovered);
        optional += judge.requests[i].edge == edge && judge.requests[i].shard == shard &&
                    judge.requests[i].optional;
    }
    reckoned =
        (uint64_t)(redis_of->applied[edge] + redis_of->quarantined[edge] + redis_of->lost[edge]);
    for (int i = 0; i < REDIS_RINGS; i++)
        if (redis_of->ring[i].id != 0 && redis_of->ring[i].edge == files_edge[edge].edge.id) {
            reckoned += redis_of->ring[i].sequence;
            lost += redis_of->ring[i].lost;
        }
    judge_counts.lost += lost;
    if (admitted != reckoned)
        world_wrong("the books of edge %u shard %u know %" PRIu64 " of %" PRIu64 " reactions", edge,
                    shard, reckoned, admitted);
    if (lost > optional)
        world_wrong("the books of edge %u shard %u say that %" PRIu64 " are lost, not %" PRIu64
                    " at most",
                    edge, shard, lost, optional);
}

void judge_end(void)
{
    for (unsigned r = 0; r < world.readers; r++)
        for (unsigned a = 0; a < world.articles; a++) {
            check_register(r, a);
            check_click(r, a);
        }
    for (unsigned e = 0; e < world.edges; e++) {
        for (unsigned s = 0; s < world.shards; s++)
            check_books(e, s);
        judge_shown_subscribers(e);
    }
}

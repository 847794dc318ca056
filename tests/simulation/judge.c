/* The judge as a whole: its state, what was lost in ways that nothing promises against, and the
 * order of its checks. */
#include "judge_state.h"

#include "programs.h"

#include <inttypes.h>
#include <string.h>

struct judge judge;
struct judge_counts judge_counts;

void judge_begin(void)
{
    judge.n_requests = judge.n_rings = judge.n_shown = 0;
    memset(judge.pipelines, 0, sizeof judge.pipelines);
    memset(judge.newest_version, 0, sizeof judge.newest_version);
    memset(judge.published, 0, sizeof judge.published);
    memset(judge.interrupted_us, 0, sizeof judge.interrupted_us);
    memset(judge.happened, 0, sizeof judge.happened);
    judge_kinds_begin();
    memset(judge.same_version, 0, sizeof judge.same_version);
    memset(judge.store_of, 0, sizeof judge.store_of);
    memset(judge.adopts, 0, sizeof judge.adopts);
    memset(judge.heard, 0, sizeof judge.heard);
}

unsigned judge_edge(uint64_t id)
{
    for (unsigned e = 0; e < WORLD_EDGES; e++)
        if (files_edge[e].edge.id == id)
            return e;
    world_wrong("an edge that does not exist has a position in Redis");
    return 0;
}

void judge_adopts(unsigned edge)
{
    judge.adopts[edge] = true;
}

/* What it takes over is older than what was given last. */
void judge_failed_over(unsigned server, unsigned lost)
{
    for (unsigned s = 0; s < world.shards; s++)
        if (redis.owner[s] == server)
            judge.newest_version[server][s] = redis.server[server].now.shard[s].version;
    if (lost > 0)
        judge_lost(JUDGE_FAILED_OVER);
}

void judge_wiped(void)
{
    memset(judge.newest_version, 0, sizeof judge.newest_version);
    redis.newest_version = 0;
}

void judge_ended(const struct event_base *process)
{
    if (process->kind == PLATFORM_COLLECTOR) {
        memset(&judge.known[process->edge], 0, sizeof judge.known[process->edge]);
        memset(&judge.read[process->edge], 0, sizeof judge.read[process->edge]);
        memset(judge.pipelines[process->edge], 0, sizeof judge.pipelines[process->edge]);
        memset(&judge.heard[process->edge], 0, sizeof judge.heard[process->edge]);
        memset(judge.heals[process->edge], 0, sizeof judge.heals[process->edge]);
        return;
    }
    judge.interrupted_us[process->edge] = world.us + 1;
    if (!process->alive)
        memset(judge.published[process->edge], 0, sizeof judge.published[process->edge]);
}

void judge_audit(uint64_t differing)
{
    for (unsigned s = 0; s < world.shards; s++)
        if (redis.was_poisoned[s])
            return; /* registers that cannot be read are a difference */
    if (differing > 0)
        world_wrong("the audit finds a difference where there is none");
}

void judge_lost(enum judge_loss loss)
{
    bool kept = loss == JUDGE_FAILED_OVER && world.replicas && !redis.went_back &&
                !judge.happened[JUDGE_POWER] && !judge.happened[JUDGE_DAMAGE] &&
                !judge.happened[JUDGE_WIPED];
    judge.happened[loss] = true;
    for (unsigned i = 0; i < judge.n_requests; i++) {
        struct judge_request *request = &judge.requests[i];
        bool held = judge_request_held(request);
        if ((loss == JUDGE_POWER || loss == JUDGE_DAMAGE) && !held)
            request->unheld = true;
        if (request->optional || held || judge_request_applied(request))
            continue;
        if (loss == JUDGE_REDIS_WENT_BACK && files_find(request->ring_id) == NULL &&
            !request->unheld && !judge.happened[JUDGE_WIPED])
            world_wrong("a ring was deleted before Redis had its reactions for good");
        if (kept && !request->unheld)
            world_wrong(
                "a reaction left its ring before a replica had it: edge %u shard %u position "
                "%" PRIu64,
                request->edge, request->shard, request->position);
        request->optional = true;
        judge_counts.optional++;
    }
}

void judge_step(void)
{
    judge_ring_freed();
    for (unsigned e = 0; e < world.edges; e++)
        judge_ring_awake(e);
}

/* Nothing is wrong any more, and nobody says so. */
static bool nothing_held(struct error *why)
{
    why->text[0] = '\0';
    for (unsigned e = 0; e < world.edges && why->text[0] == '\0'; e++)
        if (broker[e].collector_reason[0] != '\0')
            error_set(why, "the collector of edge %u says that something is wrong: %s", e,
                      broker[e].collector_reason);
        else if (programs_feed_why(e)[0] != '\0')
            error_set(why, "the feed of edge %u says that something is wrong: %s", e,
                      programs_feed_why(e));
    return why->text[0] == '\0';
}

bool judge_arrived(struct error *why)
{
    judge_ring_healed();
    return judge_ring_done(why) && judge_shown_done(why) && nothing_held(why);
}

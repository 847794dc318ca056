/* The rates of the last moments decide between three waits, of which the longer ones lie on a
 * common grid. */
#include "gather.h"

#define MEMORY_MS 400     /* of pieces that came */
#define QUIET_MS 160      /* after so long without a call, the next piece is the first again */
#define FEW_PIECES_IN_4 1 /* less than a quarter of a piece in the longest wait: not worth it */

void gather_init(struct gather *gather, struct gather_load *load, unsigned min_ms, unsigned max_ms)
{
    *gather = (struct gather){.load = load, .min_ms = min_ms, .max_ms = max_ms};
}

void gather_notice(struct gather *gather, uint64_t now_ms)
{
    if (!gather->waiting)
        gather->since_ms = now_ms;
    gather->waiting = true;
}

static uint64_t passed_ms(const struct gather *gather, uint64_t now_ms)
{
    if (!gather->called)
        return UINT64_MAX;
    return now_ms > gather->called_ms ? now_ms - gather->called_ms : 0;
}

/* The rest of the recent ones after this time. */
static double faded(double recent, uint64_t passed)
{
    return passed < MEMORY_MS ? recent * (double)(MEMORY_MS - passed) / MEMORY_MS : 0;
}

static double recent_calls(const struct gather_load *load, uint64_t now_ms)
{
    return faded(load->recent, now_ms > load->called_ms ? now_ms - load->called_ms : 0);
}

void gather_call(struct gather *gather, uint64_t now_ms)
{
    struct gather_load *load = gather->load;
    load->recent = recent_calls(load, now_ms) + 1;
    load->called_ms = now_ms;
    gather->recent = faded(gather->recent, passed_ms(gather, now_ms));
    gather->waiting = false;
    gather->called = true;
    gather->called_ms = now_ms;
}

void gather_took(struct gather *gather, size_t pieces)
{
    gather->recent += (double)pieces;
}

/* How many pieces arrive in this many ms. */
static double expected(double recent, unsigned ms)
{
    return recent * ms / MEMORY_MS;
}

static unsigned wait_ms(const struct gather *gather, uint64_t now_ms)
{
    double recent = faded(gather->recent, passed_ms(gather, now_ms));
    if (recent_calls(gather->load, now_ms) * 1000 / MEMORY_MS < GATHER_BUSY_CALLS_S ||
        expected(recent, gather->min_ms) >= GATHER_TARGET ||
        4 * expected(recent, gather->max_ms) < FEW_PIECES_IN_4)
        return gather->min_ms;
    unsigned middle_ms = gather->max_ms / 2;
    return expected(recent, middle_ms) >= GATHER_TARGET ? middle_ms : gather->max_ms;
}

uint64_t gather_rest_ms(const struct gather *gather, uint64_t now_ms)
{
    if (passed_ms(gather, now_ms) >= QUIET_MS)
        return 0;
    uint64_t due_ms = gather->called_ms + gather->min_ms;
    unsigned wait = wait_ms(gather, now_ms);
    if (wait > gather->min_ms) {
        uint64_t since_ms = gather->waiting ? gather->since_ms : now_ms;
        if (since_ms < gather->called_ms)
            since_ms = gather->called_ms;
        due_ms = (since_ms / wait + 1) * wait;
    }
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

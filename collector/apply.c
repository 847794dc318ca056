/* The state machine of one ring's calls, and the reading of Redis's errors. */
#include "apply.h"

#include "core/bytes.h"

#include <stdio.h>
#include <string.h>

int apply_read_position(struct apply_position *out, const void *in, size_t bytes)
{
    const unsigned char *at = in;
    *out = (struct apply_position){0};
    if (bytes == 0)
        return 0;
    if (bytes != APPLY_POSITION_BYTES)
        return -1;
    out->point.position = bytes_get_u64(at);
    out->point.sequence = bytes_get_u64(at + 8);
    out->quarantined = bytes_get_u64(at + 16);
    out->lost = bytes_get_u64(at + 24);
    out->edge = bytes_get_u64(at + 32);
    return 0;
}

enum apply_rule apply_rule(const struct apply_ring *ring, uint64_t position, uint64_t *start)
{
    *start = ring->oldest;
    if (position > ring->end)
        return ring->old ? APPLY_AGAIN : APPLY_ROTATE;
    if (position < ring->oldest)
        return APPLY_OLDEST;
    *start = ring->acknowledged >= ring->oldest && ring->acknowledged < position
                 ? ring->acknowledged
                 : position;
    return APPLY_GO_ON;
}

static bool apply_begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool begins_with_one(const char *error, const char *const *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (apply_begins(error, codes[i]))
            return true;
    return false;
}

/* A record is quarantined only for errors known to be its own. All others may pass or be fixed: out
 * of memory, read-only, a cluster that moves, a user without permission. */
enum apply_answer apply_judge(const char *error, bool of_record)
{
    static const char *const of_records[] = {"WRONGTYPE", "BADHEAD", "BADREGISTER"};
    /* Errors raised by Lua itself, in Redis 7 and before. Commands' errors begin with their own
     * code. */
    static const char *const of_lua[] = {"ERR user_script:", "ERR Error running script"};
    if (error == NULL)
        return APPLY_NO_ANSWER;
    if (apply_begins(error, "NOSCRIPT"))
        return APPLY_NO_SCRIPT;
    if ((of_record && begins_with_one(error, of_records, 3)) || begins_with_one(error, of_lua, 2))
        return APPLY_POISON;
    return APPLY_WAIT;
}

void apply_init(struct apply *apply)
{
    *apply = (struct apply){.state = APPLY_UNKNOWN};
}

bool apply_asks(const struct apply *apply, uint64_t now_ms)
{
    return apply->state == APPLY_UNKNOWN && now_ms >= apply->wait_until_ms;
}

uint64_t apply_paused_ms(const struct apply *apply, uint64_t now_ms)
{
    if (apply->pauses == 0 || apply->state != APPLY_UNKNOWN)
        return UINT64_MAX;
    return apply->wait_until_ms > now_ms ? apply->wait_until_ms - now_ms : 0;
}

void apply_asking(struct apply *apply)
{
    apply->state = APPLY_ASKING;
}

void apply_resume(struct apply *apply, struct batch_point point, uint64_t start, uint64_t end)
{
    apply->state = APPLY_GOING;
    apply->point = point;
    apply->acknowledged = start;
    apply->renew_until = end;
}

bool apply_renews(const struct apply *apply, const struct batch_range *range)
{
    return range->first < apply->renew_until;
}

void apply_caught_up(struct apply *apply)
{
    apply->failures = 0;
    apply->held[0] = '\0';
}

void apply_rotate(struct apply *apply, const char *why)
{
    snprintf(apply->held, sizeof apply->held, "%s", why);
    apply->state = APPLY_ROTATING;
}

static void apply_say(struct apply *apply, const char *why)
{
    if (why != NULL)
        snprintf(apply->held, sizeof apply->held, "%s", why);
}

/* The first `free` failures in a row cost no pause. */
static void pause_after(struct apply *apply, unsigned free, uint64_t now_ms)
{
    uint64_t pause_ms = APPLY_PAUSE_MIN_MS;
    apply->failures++;
    if (apply->failures <= free)
        return;
    for (unsigned i = free + 1; i < apply->failures && pause_ms < APPLY_PAUSE_MAX_MS; i++)
        pause_ms *= 2;
    apply->wait_until_ms = now_ms + (pause_ms < APPLY_PAUSE_MAX_MS ? pause_ms : APPLY_PAUSE_MAX_MS);
}

/* The pause may end at any moment, and at most 2 s after it began. */
static void paused(struct apply *apply, uint64_t now_ms)
{
    uint64_t wait_ms = (uint64_t)APPLY_AUDIT_MIN_MS << (apply->pauses < 8 ? apply->pauses : 8);
    apply->pauses++;
    apply->wait_until_ms = now_ms + (wait_ms < APPLY_AUDIT_MAX_MS ? wait_ms : APPLY_AUDIT_MAX_MS);
}

static void apply_settle(struct apply *apply)
{
    if (apply->state == APPLY_ROTATING)
        return;
    apply->state = apply->in_flight > 0 ? APPLY_SETTLING : APPLY_UNKNOWN;
}

void apply_resync(struct apply *apply)
{
    apply->failures = apply->pauses = 0;
    apply->wait_until_ms = 0;
    if (apply->state == APPLY_GOING)
        apply_settle(apply);
}

void apply_ask_failed(struct apply *apply, const char *error, uint64_t now_ms)
{
    apply_say(apply, error);
    if (error != NULL)
        pause_after(apply, 0, now_ms);
    apply_settle(apply);
}

bool apply_sends(const struct apply *apply, unsigned in_flight_max)
{
    return apply->state == APPLY_GOING &&
           apply->in_flight < (apply->bisect_until > 0 ? 1 : in_flight_max);
}

size_t apply_limit(const struct apply *apply, size_t batch_records)
{
    return apply->bisect_until > 0 ? 1 : batch_records;
}

bool apply_quarantines(const struct apply *apply, const struct record *record)
{
    return apply->bisect_until > 0 && apply->suspect_failures >= APPLY_TRIES &&
           apply->suspect == record->position;
}

void apply_sent(struct apply *apply, const struct batch_range *range)
{
    apply->in_flight++;
    apply->point = range->to;
}

void apply_hold(struct apply *apply, const char *why, uint64_t now_ms)
{
    apply_say(apply, why);
    pause_after(apply, 0, now_ms);
    apply_settle(apply);
}

static void poisoned(struct apply *apply, const struct batch_range *range)
{
    if (apply->bisect_until == 0 || range->records > 1) {
        apply->bisect_until = range->end.position;
        return;
    }
    if (apply->suspect_failures == 0 || apply->suspect != range->first) {
        apply->suspect = range->first;
        apply->suspect_failures = 0;
    }
    apply->suspect_failures++;
}

static void succeeded(struct apply *apply, const struct batch_range *range)
{
    apply->failures = 0;
    apply->pauses = 0;
    apply->held[0] = '\0';
    apply->suspect_failures = 0;
    /* After a failure, the outcomes of earlier batches are unknown. */
    if (apply->state != APPLY_GOING)
        return;
    apply->acknowledged = range->end.position;
    if (apply->bisect_until > 0 && apply->acknowledged >= apply->bisect_until)
        apply->bisect_until = 0;
}

void apply_answered(struct apply *apply, enum apply_answer answer, const struct batch_range *range,
                    const char *why, uint64_t now_ms)
{
    bool first = apply->state == APPLY_GOING;
    apply->in_flight--;
    if (answer == APPLY_OK) {
        succeeded(apply, range);
        if (!first)
            apply_settle(apply);
        return;
    }
    /* Batches sent after a failed one must also fail, and add no information. */
    if (first) {
        if (answer == APPLY_WAIT || answer == APPLY_POISON)
            apply_say(apply, why);
        if (answer == APPLY_POISON)
            poisoned(apply, range);
        else if (answer == APPLY_PAUSED)
            paused(apply, now_ms);
        else if (answer != APPLY_NO_ANSWER)
            pause_after(apply, answer == APPLY_WAIT ? 0 : 1, now_ms);
    }
    apply_settle(apply);
}

/* The batches whose receipts are on their way, in the order of the ring. */
#include "release.h"

void release_begin(struct release *release, uint64_t position)
{
    release->first = release->n = 0;
    release->at = position;
}

void release_add(struct release *release, struct batch_point end, uint64_t receipts,
                 uint64_t moment)
{
    if (release->n < RELEASE_BATCHES_MAX)
        release->n++;
    size_t last = (release->first + release->n - 1) % RELEASE_BATCHES_MAX;
    release->batch[last].end = end;
    release->batch[last].receipts = receipts;
    release->batch[last].moment = moment;
}

void release_moment(struct release *release, uint64_t moment)
{
    for (size_t i = 0; i < release->n; i++)
        release->batch[(release->first + i) % RELEASE_BATCHES_MAX].moment = moment;
}

bool release_empty(const struct release *release)
{
    return release->n == 0;
}

bool release_next(struct release *release, uint64_t gone, uint64_t replicated,
                  uint64_t held_max_bytes, struct batch_point *out)
{
    bool moves = false;
    while (release->n > 0) {
        size_t last = (release->first + release->n - 1) % RELEASE_BATCHES_MAX;
        if (release->batch[release->first].moment > replicated)
            break;
        if (release->batch[release->first].receipts > gone &&
            release->batch[last].end.position - release->at <= held_max_bytes)
            break;
        *out = release->batch[release->first].end;
        release->at = out->position;
        moves = true;
        release->first = (release->first + 1) % RELEASE_BATCHES_MAX;
        release->n--;
    }
    return moves;
}

/* The batches whose receipts are on their way, in the order of the ring. */
#include "ack.h"

void ack_begin(struct ack *ack, uint64_t position)
{
    ack->first = ack->n = 0;
    ack->at = position;
}

void ack_add(struct ack *ack, struct take_point end, uint64_t receipts)
{
    if (ack->n < ACK_BATCHES_MAX)
        ack->n++;
    size_t last = (ack->first + ack->n - 1) % ACK_BATCHES_MAX;
    ack->batch[last].end = end;
    ack->batch[last].receipts = receipts;
}

bool ack_take(struct ack *ack, uint64_t gone, uint64_t held_max_bytes, struct take_point *out)
{
    bool moves = false;
    while (ack->n > 0) {
        size_t last = (ack->first + ack->n - 1) % ACK_BATCHES_MAX;
        if (ack->batch[ack->first].receipts > gone &&
            ack->batch[last].end.position - ack->at <= held_max_bytes)
            break;
        *out = ack->batch[ack->first].end;
        ack->at = out->position;
        moves = true;
        ack->first = (ack->first + 1) % ACK_BATCHES_MAX;
        ack->n--;
    }
    return moves;
}

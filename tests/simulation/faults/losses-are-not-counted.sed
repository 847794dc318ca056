# collector/batch.c
# Missing sequences are not counted as lost.
s/range->lost += record->sequence - range->to.sequence;/range->lost += 0;/

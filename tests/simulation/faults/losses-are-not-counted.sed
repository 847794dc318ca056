# collector/take.c
# Missing sequences are not counted as lost.
s/take->lost += record->sequence - take->to.sequence;/take->lost += 0;/

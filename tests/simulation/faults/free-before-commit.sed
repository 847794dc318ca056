# collector/lane.c
# A batch is freed in the ring when it is sent.
s/^        mark(lane);/        mark(lane), source_acknowledge(lane->source, take_end(flight->take));/

# collector/pipeline.c
# A batch is freed in the ring when it is sent.
s/^    mark_ring(pipeline);/    mark_ring(pipeline), source_release(pipeline->source, range->end);/

# collector/pipeline.c
# What a shard's former owner answers moves the position that is acknowledged.
s/register_call_read(&reply, is_current(pipeline, flight->generation) ? answer : NULL);/register_call_read(\&reply, answer);/

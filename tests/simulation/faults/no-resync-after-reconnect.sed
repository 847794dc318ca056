# collector/pipeline.c
# A connection that comes back is believed to lead to the Redis of before.
s/^        apply_resync(&pipeline->apply);//

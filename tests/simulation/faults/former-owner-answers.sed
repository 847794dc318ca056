# collector/pipeline.c
# A former owner's answer to a batch counts.
/^static void on_batch/,/^}/ s/is_current(pipeline, flight->generation) ? answer : NULL/answer/

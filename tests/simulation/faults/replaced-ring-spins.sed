# collector/rings.c
# A ring that was replaced counts as work while its answer is late: the loop never reads it.
s/        if (rings->pipeline\[i\] != NULL \&\& pipeline_has_more(rings->pipeline\[i\]) \&\&$/        if (rings->pipeline[i] != NULL \&\& pipeline_has_more(rings->pipeline[i])) return true; else if (rings->pipeline[i] != NULL \&\& false \&\&/

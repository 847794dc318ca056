# collector/pipeline.c
# Records that cannot be sent yet count as work while an answer is late: the loop never reads it.
/^bool pipeline_has_more/,/^}/ s/(apply->in_flight == 0 || worth_a_call(pipeline))/true/
/^bool pipeline_has_more/,/^}/ s/apply_sends(apply, pipeline->shared.in_flight_max)/apply->state == APPLY_GOING/

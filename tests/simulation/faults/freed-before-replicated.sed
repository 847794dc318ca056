# collector/pipeline.c
# With durability replicas a record leaves its ring before a replica has it.
s/        session_replicates(session) ? session_replicated/        session == NULL ? session_replicated/

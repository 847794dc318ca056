# collector/replica_wait.c
# A kind's id counts before a replica has it.
s/^    if (replicas == 0)$/    if (replicas < 99)/

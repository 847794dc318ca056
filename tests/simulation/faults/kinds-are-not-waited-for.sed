# collector/replica_wait.c
# from seed 25901 of any Redis
# A kind's id counts before a replica has it.
s/^    if (replicas == 0)$/    if (replicas < 99)/

# tests/simulation/redis_register.c
# register.lua and position.lua: a shard whose meta names no store is anybody's.
s/^    if (shard->store == id)$/    if (shard->store == id || shard->store == 0)/

# tests/simulation/redis_register.c
# register.lua and position.lua: whatever store the shard belongs to.
s/^    if (shard->store == id)$/    if (shard->store != id + 1)/

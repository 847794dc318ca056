# tests/simulation/redis_register.c
# register.lua: votes at or below the floor count.
s/if (head->floored \&\& value >> 4 <= head->floor)/if (head->floored \&\& value == 0)/

# tests/simulation/redis_register.c
# register.lua: a call is run wherever it starts from.
s/if ((ring != NULL ? ring->position : 0) != call.from) {/if (ring != NULL \&\& ring->position + 1 == call.from) {/

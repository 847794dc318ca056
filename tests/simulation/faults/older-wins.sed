# tests/simulation/redis_register.c
# register.lua: <= for <: of two votes of one stamp the lesser kind wins.
/^static void vote_again/,/^}/ s/} else if (value < old) {/} else if (value >> 4 <= old >> 4) {/

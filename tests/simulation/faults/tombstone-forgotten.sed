# tests/simulation/redis_register.c
# register.lua: taking a reaction back leaves no stamp.
/^static void vote_again/,/^}/ s/reg->value = value;/reg->value = (value \& 15) != 0 ? value : 0;/

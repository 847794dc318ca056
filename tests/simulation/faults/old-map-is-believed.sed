# lib/redis/redis_map.c
# from seed 36401 of any Redis
# An answer of a minority, or an older one, about who owns what is believed.
/^bool redis_map_believe/,/^}/ s/^    if (fresh \&\& /    if (fresh \&\& now_ms == 0 \&\& /

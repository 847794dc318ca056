# lib/redis/redis_map.c
# A server that was cut off is believed about who owns what.
s/    if (fresh \&\& (!view->sound || (view->has_epoch \&\& view->epoch < belief->epoch)))/    if (!fresh \&\& now_ms == 0)/

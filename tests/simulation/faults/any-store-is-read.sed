# tests/simulation/redis.c
# A read does not look which store it reads.
/^static bool is_store/,/^}/ s/    if (strcmp(now, id) == 0)/    if (strcmp(now, id) == 0 || redis.now.store.id != 0)/

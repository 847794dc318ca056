# lib/redis/redis_nodes.c
# A new owner of a place, or a lost link, begins no new generation.
/nodes->owner\[place\] = -1;/,/on_place/ s/nodes->generation\[place\]++;/nodes->generation[place] = 1;/
/nodes->owner\[place\] = owner;/,/on_place/ s/nodes->generation\[place\]++;/nodes->generation[place] = 1;/

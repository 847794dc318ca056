# lib/redis/redis_nodes.c
# A new owner of a place, or a lost link, begins no new generation.
s/nodes->generation\[place\]++;/nodes->generation[place] = 1;/

# dashboard-feed/store_request.c
# What a shard's former owner answers counts.
s/if (reply != NULL \&\& redis_nodes_generation(config->nodes, request.place) != request.generation)/if (false)/

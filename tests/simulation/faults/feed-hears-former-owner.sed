# dashboard-feed/store_request.c
# A former owner's answer to the feed counts.
s/^    if (reply != NULL \&\& redis_nodes_generation(.*$/    if (reply != NULL \&\& config == NULL)/

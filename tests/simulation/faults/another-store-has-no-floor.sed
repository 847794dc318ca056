# dashboard-feed/relay.c
# Articles of another store keep their versions, below those that were shown.
s/^        relay->floor = conflate_highest(relay->table);/        relay->floor = 0;/

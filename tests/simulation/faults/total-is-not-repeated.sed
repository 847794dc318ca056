# dashboard-feed/conflate.c
# from seed 83801 of any Redis
# A changed total goes out once.
s/^    entry->repeat = entry->waiting || is_new || .*$/    entry->repeat = is_new \&\& false;/

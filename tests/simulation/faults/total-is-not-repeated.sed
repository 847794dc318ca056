# dashboard-feed/conflate.c
# A changed total goes out once.
s/^    entry->repeat = entry->waiting || is_new || .*$/    entry->repeat = is_new \&\& false;/

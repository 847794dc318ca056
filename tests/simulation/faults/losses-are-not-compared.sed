# dashboard-feed/relay.c
# Another run of Redis is taken for the one of before.
/^static bool is_same_run/,/^}/ s/return run\[0\].*$/return run != NULL || relay->running;/

# dashboard-feed/cover.c
# from seed 6201 of any Redis
# The mark covers what was heard of and not published.
s/if (oldest_waiting > 0 \&\& oldest_waiting - 1 < covered)/if (oldest_waiting > covered)/

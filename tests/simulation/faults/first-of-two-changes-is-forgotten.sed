# dashboard-feed/conflate.c
# from seed 189201
# The mark covers a change that waited, once the article changed again.
/^static void set_waiting/,/^}/ s/^    if (entry->waiting)/    if ((entry->since = version) > 0 \&\& entry->waiting)/

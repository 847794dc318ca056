# dashboard-feed/attempt.c
# What is read without the script may be another store's, or of before and after a change.
s/attempt->apart = attempt->apart || !is_unchanged(attempt, reply);/(void)is_unchanged;/

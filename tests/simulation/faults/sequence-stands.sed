# lib/spool/spool.c
# Records do not count on.
s/^    producer->sequence++;/    producer->sequence += producer->sequence < 3;/

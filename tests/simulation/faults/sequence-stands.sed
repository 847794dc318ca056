# lib/spool/ring_producer.c
# Records do not count on.
s/^    producer->sequence++;/    producer->sequence += producer->sequence < 3;/

# lib/spool/ring_producer.c
# A full ring is written over what was not applied.
/^int ring_producer_append/,/^}/ s/            return -1;/            producer->read_seen = producer->write;/

# lib/spool/spool.c
# A full ring is written over what was not applied.
/^int spool_append/,/^}/ s/            return -1;/            producer->read_seen = producer->write;/

# lib/spool/ring_consumer.c
# Applied records do not stay until the ring is half full.
s/> consumer->capacity_bytes \/ 2) {/> consumer->capacity_bytes \/ 4) {/

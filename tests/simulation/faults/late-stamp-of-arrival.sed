# lib/core/stamp.c
# A late request is stamped with its arrival, not with its click.
s/now_ms > age_ms ? now_ms - age_ms : 0/now_ms/

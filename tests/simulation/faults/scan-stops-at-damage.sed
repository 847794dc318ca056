# lib/spool/ring_scan.c
# Recovery ends at the first damaged record.
/^static int scan_range/,/^}/ s/offset += bytes > 0 ? bytes : RECORD_ALIGN;/offset += bytes > 0 ? bytes : to;/

# collector/apply.c
# A script's access to a key that has moved counts as the record's own fault.
s/"ERR user_script:", /"ERR Script attempted", /

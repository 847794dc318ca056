# collector/apply.c
# A shard that is on its way to another server is taken for a record's fault.
/^enum apply_answer apply_judge/,/^}/ s/    if ((of_record/    if (apply_begins(error, "TRYAGAIN") || apply_begins(error, "MOVED") || (of_record/

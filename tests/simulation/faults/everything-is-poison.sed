# collector/apply.c
# Whatever Redis cannot do now is taken for a record's fault.
/^enum apply_answer apply_judge/,/^}/ s/return APPLY_WAIT;/return APPLY_POISON;/

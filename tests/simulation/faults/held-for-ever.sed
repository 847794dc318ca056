# collector/apply.c
# A shard that has caught up stays held.
/^void apply_caught_up/,/^}/ s/^    apply->held.*$//

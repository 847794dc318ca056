# collector/apply.c
# from seed 3501 of any Redis
# A pause after failures continues although the shard has another owner now.
/^void apply_resync/,/^}/ s/^    apply->wait_until_ms = 0;/    apply->wait_until_ms += 0;/

# collector/apply.c
# A pause after failures goes on although the shard has another owner now.
/^void apply_resync/,/^}/ s/^    apply->wait_until_ms = 0;/    apply->wait_until_ms += 0;/

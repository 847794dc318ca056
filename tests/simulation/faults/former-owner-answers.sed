# lib/redis/redis_guard.c
# A former owner's answer counts.
/^static void on_answer/,/^}/ s/guard.sent_in == \*guard.generation ? reply : NULL/reply/

# lib/redis/redis_guard.c
# from seed 2901 of any Redis
# A former owner's answer counts.
/^static void on_answer/,/^}/ s/guard.sent_in == \*guard.generation ? reply : NULL/reply/

# dashboard-feed/attempt.c
# from seed 15701
# Answers from before and after a change are taken together.
s/is_same(first->element\[1\], look->element\[1\])/true/

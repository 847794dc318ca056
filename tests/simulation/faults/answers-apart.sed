# dashboard-feed/attempt.c
# Answers from before and after a change are taken together.
s/is_same(first->element\[1\], look->element\[1\])/true/

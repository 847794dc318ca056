# lib/core/total.c
# An article's base is not added to its total.
s/^    \*total = sum;/    total->floor = sum.floor;/

# dashboard-feed/cover.c
# from seed 82501 of any Redis
# The mark covers what is still to be published again.
s/if (one->n > 0 \&\& one->range\[0\].low < covered)/if (one->n > COVER_MAX_RANGES)/

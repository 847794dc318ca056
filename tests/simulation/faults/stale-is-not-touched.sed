# dashboard-feed/relay.c
# What Redis lost after it was published is not given a newer version.
s/    if (may_touch(relay) \&\& follow_touch(/    if (relay->touching > TOUCHES_MAX \&\& follow_touch(/

# dashboard-feed/publisher.c
# What Redis lost after it was published is not given a newer version.
s/    if (may_touch(publisher) \&\& follow_touch(/    if (publisher->touching > TOUCHES_MAX \&\& follow_touch(/

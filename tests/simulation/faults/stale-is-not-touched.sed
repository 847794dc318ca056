# dashboard-feed/relay.c
# What Redis lost after it was published is not given a newer version.
s/    if (may_touch(relay) \&\& article_write_version(/    if (relay->touching > TOUCHES_MAX \&\& article_write_version(/

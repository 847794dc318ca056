# dashboard-feed/publisher_send.c
# from seed 117301 of any Redis
# What Redis lost after it was published is not given a newer version.
s/    if (may_touch(publisher) \&\&$/    if (publisher->send.touching > TOUCHES_MAX \&\&/

# dashboard-feed/publisher_send.c
# from seed 50101 of any Redis
# A lower version than before is published.
s/return found->total.version < published || found->total.version <= publisher->mark.floor;/return false;/

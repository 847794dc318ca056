# dashboard-feed/publisher_send.c
# A lower version than before is published.
s/return found->total.version < published || found->total.version <= publisher->mark.floor;/return false;/

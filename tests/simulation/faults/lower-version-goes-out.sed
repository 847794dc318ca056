# dashboard-feed/publisher.c
# A lower version than before is published.
s/return found->total.version < published || found->total.version <= publisher->floor;/return false;/

# dashboard-feed/relay.c
# A lower version than before is published.
s/return found->total.version < published || found->total.version <= relay->floor;/return false;/

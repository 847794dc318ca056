# collector/store.c
# Another store is applied to without --adopt.
s/rings->applied != 0 && rings->applied != store->id)/rings->applied == 1 \&\& store->id == 1)/

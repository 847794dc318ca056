# collector/store.c
# from seed 9101 of any Redis
# Another store is applied to without --adopt.
s/rings->applied != 0 && rings->applied != store->id)/rings->applied == 1 \&\& store->id == 1)/

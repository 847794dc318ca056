# collector/store_call.c
# A collector lets kinds be given ids and does not say which ids it knows.
s/known->id == store_id; id++)/known->id == store_id + 1; id++)/

# collector/session.c
# A shard is claimed for the store although every shard's meta once named it.
s/    if (!session->accepted || session->store.placed)/    if (!session->accepted)/

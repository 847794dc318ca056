# collector/source.c
# An old ring is gone on with from the record after the one that is meant.
s/source->next = fits ? i : 0;/source->next = fits ? i + (i > 0) : 0;/

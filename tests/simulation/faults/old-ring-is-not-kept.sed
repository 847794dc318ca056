# collector/rings.c
# An old ring is deleted as soon as it is drained.
s/^#define OLD_KEEP_MS 5000/#define OLD_KEEP_MS 0/

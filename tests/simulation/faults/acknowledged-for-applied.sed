# collector/apply.c
# > for <: continues from the position acknowledged last, though Redis went back.
s/ring->acknowledged < position$/ring->acknowledged > position/

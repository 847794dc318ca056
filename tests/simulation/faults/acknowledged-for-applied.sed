# collector/apply.c
# > for <: goes on from the position acknowledged last, though Redis went back.
s/ring->acknowledged < position$/ring->acknowledged > position/

# collector/apply.c
# > for <: goes on from where it heard last, though Redis went back.
s/ring->heard < position ? ring->heard/ring->heard > position ? ring->heard/

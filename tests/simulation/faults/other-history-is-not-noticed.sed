# collector/node.c
# A server that was a replica for a moment is taken for the one that it was.
# from seed 27344 of three edges
s/bool other = node->history\[0\] != .*/bool other = false;/

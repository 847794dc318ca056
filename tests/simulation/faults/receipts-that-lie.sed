# collector/lane.c
# A receipt says that the register holds what it does not hold.
s/bytes_get_u16(exception) == i)/bytes_get_u16(exception) == i + 60000)/

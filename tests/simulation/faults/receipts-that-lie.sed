# collector/register_call.c
# A receipt says that the register holds what it does not hold.
s/bytes_get_u16(reply->next) != index)/bytes_get_u16(reply->next) != index + 60000)/

-- Adds the numbers of a deleted ring to its shard's books, and forgets the ring. A repeat does nothing.
-- KEYS  rings, books of one shard
-- ARGV  1 ring id
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if not stored then
    return 0
end
local _, sequence, quarantined, lost, low, high = struct.unpack('<I8I8I8I8I4I4', stored)
local edge = string.format('%08x%08x', high, low)
redis.call('HINCRBY', KEYS[2], edge .. ':applied', string.format('%.0f', sequence - quarantined - lost))
redis.call('HINCRBY', KEYS[2], edge .. ':quarantined', string.format('%.0f', quarantined))
redis.call('HINCRBY', KEYS[2], edge .. ':lost', string.format('%.0f', lost))
return redis.call('HDEL', KEYS[1], ARGV[1])

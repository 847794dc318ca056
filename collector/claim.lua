-- Notes in a shard's meta that the shard belongs to a store, unless its data may be another one's (FORMATS.md 5.2). Several edges may do this
-- at once.
-- KEYS  meta, rings, books of one shard
-- ARGV  1 the store's id; 2 'known' if the shard is known to have named the store, or to hold its data: then it is not claimed again; or 'new'
-- Answers
--       {'ok'}          the shard belongs to the store, now or before
--       {'store', why}  it may not: nothing was done
local found = redis.call('HGET', KEYS[1], 'store')
if not found and ARGV[2] ~= 'known' and redis.call('EXISTS', KEYS[2], KEYS[3]) == 0 then
    redis.call('HSET', KEYS[1], 'store', ARGV[1])
    return {'ok'}
end
local why = store_refusal(found, ARGV[1])
if why then
    return {'store', why}
end
return {'ok'}

-- Answers the position of a ring, and whether its shard belongs to the collector's store.
--
-- KEYS  meta, rings of one shard
-- ARGV  1 ring id; 2 the store's id; 3 'adopt': from now on the shard belongs to this store, whatever it belonged to; else ''
-- Answers
--       {'at', stored position}  '' if the ring has applied nothing
--       {'store', why}           the shard belongs to another store, or names none
local stored = redis.pcall('HGET', KEYS[2], ARGV[1])
local found = redis.pcall('HGET', KEYS[1], 'store')
if type(stored) == 'table' or type(found) == 'table' then
    return type(stored) == 'table' and stored or found
end
if ARGV[3] == 'adopt' then
    if found ~= ARGV[2] then
        redis.call('HSET', KEYS[1], 'store', ARGV[2])
    end
else
    local why = store_refusal(found, ARGV[2])
    if why then
        return {'store', why}
    end
end
return {'at', stored or ''}

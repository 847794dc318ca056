-- Creates the store if it is missing and may be created, and gives ids to kinds. An id is given once and never reused. Several edges may do
-- this at once.
-- KEYS  tally:store
-- ARGV  1 the store's id; 2 'make' if the store may be missing, 'keep' if not, 'placed': some shards name the store, or 'seen': an edge lives;
--       3 shards; 4 key fingerprint; 5 voters a bucket; then kinds: name:id where the caller knows the id that the kind had, then names
--       alone, which get the next ids. For 'placed': from 3 on the shards' numbers. For 'seen': 3 the edge's id.
-- Answers all fields and values. If there is another store by now, it does nothing else. A kind whose id another kind has gets none.
local key = KEYS[1]
local id = redis.call('HGET', key, 'id')
if not id and ARGV[2] == 'make' and redis.call('EXISTS', key) == 0 then
    id = ARGV[1]
    redis.call('HSET', key, 'id', id, 'format', '1', 'shards', ARGV[3], 'key', ARGV[4], 'split', ARGV[5])
end
if id == ARGV[1] and ARGV[2] == 'placed' then
    local each, all = {}, true
    for shard = 0, tonumber(redis.call('HGET', key, 'shards')) - 1 do
        each[#each + 1] = 'placed:' .. shard
    end
    if not redis.call('HGET', key, 'placed') then
        for i = 3, #ARGV do
            redis.call('HSET', key, 'placed:' .. ARGV[i], '1')
        end
        for _, found in ipairs(redis.call('HMGET', key, unpack(each))) do
            all = all and found
        end
        if all then -- one field says it for all of them
            redis.call('HSET', key, 'placed', '1')
            redis.call('HDEL', key, unpack(each))
        end
    end
elseif id == ARGV[1] and ARGV[2] == 'seen' then -- a Redis that takes no writes now is no reason to hold the store
    local now = redis.pcall('TIME')
    if not now.err then
        redis.pcall('HSET', key, 'seen:' .. ARGV[3], now[1])
    end
elseif id == ARGV[1] then
    local all, known, given, last = redis.call('HGETALL', key), {}, {}, 0
    for i = 1, #all, 2 do
        local name = string.match(all[i], '^kind:(.+)$')
        if name then
            local its = tonumber(all[i + 1]) or 15
            known[name], given[its] = true, true
            last = math.max(last, its)
        end
    end
    for i = 6, #ARGV do
        local name, had = string.match(ARGV[i], '^([^:]+):?(%d*)$')
        local its = tonumber(had) or last + 1
        if not known[name] and not given[its] and its <= 15 then
            known[name], given[its] = true, true
            last = math.max(last, its)
            redis.call('HSET', key, 'kind:' .. name, its)
        end
    end
end
return redis.call('HGETALL', key)

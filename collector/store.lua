-- Creates the store if it is missing and may be created, and assigns the next ids to new kinds. An id is assigned once and never
-- reused. Several edges may do this at once.
-- KEYS  tally:store
-- ARGV  1 the store's id; 2 'make' if the store may be missing; 3 shards; 4 key fingerprint; 5 voters a bucket; then kind names
-- Answers all fields and values. If there is another store by now, it does nothing else.
local key = KEYS[1]
local id = redis.call('HGET', key, 'id')
if not id and ARGV[2] == 'make' and redis.call('EXISTS', key) == 0 then
    id = ARGV[1]
    redis.call('HSET', key, 'id', id, 'format', '1', 'shards', ARGV[3], 'key', ARGV[4], 'split', ARGV[5])
end
if id == ARGV[1] then
    local all, known, last = redis.call('HGETALL', key), {}, 0
    for i = 1, #all, 2 do
        local name = string.match(all[i], '^kind:(.+)$')
        if name then
            known[name] = true
            last = math.max(last, tonumber(all[i + 1]) or 15)
        end
    end
    for i = 6, #ARGV do
        if not known[ARGV[i]] and last < 15 then
            last = last + 1
            known[ARGV[i]] = true
            redis.call('HSET', key, 'kind:' .. ARGV[i], last)
        end
    end
end
return redis.call('HGETALL', key)

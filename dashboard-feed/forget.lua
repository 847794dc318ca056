-- Forgets an article that hardly anyone touched, if all of its voters belong to one creator (FORMATS.md 5.5). It marks the head and gives it
-- a new version, so every edge's feed hears of it and shows no total. The registers stay until sweep.lua removes them. A reaction
-- that arrives before then, from any edge, removes the mark, and all registers count as before.
--
-- KEYS  heads, base, changed, meta, states, forgotten of one shard
-- ARGV  1 article; 2 shard; 3 for how many seconds it must have been quiet; 4 the voters: the high 32 bits of their hashes, 8 hex digits
--       each, one after another; 5 the store's id
-- Answers
--       {'forgotten'}    it is, now or since before
--       {'none'}         there is no such article
--       {'real'}         others have voted, or it has a state, a base or a floor: nothing was done
--       {'young'}        it changed too lately: nothing was done
--       {'paused'}       the shard's totals are being counted (FORMATS.md 5.3): nothing was done
--       {'store'}        another store is there: nothing was done
--       {'error'}        what is stored of it has an unknown form: nothing was done
local VOTERS = 16
local heads_key, base_key, changed_key, meta_key, states_key, forgotten_key = unpack(KEYS)
local article = ARGV[1]

if another_store(meta_key) then
    return {'store'}
end

-- Read the keys before the first write: a key of a wrong type must not fail after it.
local meta = try('HMGET', meta_key, 'version', 'pause')
local head = try('HGET', heads_key, article)
local base = try('HGET', base_key, article)
local state = try('HGET', states_key, article)
if first_error(meta, head, base, state, try('ZCARD', changed_key), try('ZCARD', forgotten_key)) then
    return {'error'}
end

if paused_ms(meta[2]) then
    return {'paused'}
end
if base or state then
    return {'real'}
end
if not head then
    return {'none'}
end
local changed_at, number, voters, level, split, floor, counts_end, forgotten = read_head(head)
if not changed_at then
    return {'error'}
end
if forgotten then
    return {'forgotten'}
end
local size = 4 ^ level
local buckets = size + 3 * split
if floor or voters > VOTERS or voters > #ARGV[4] / 8 then
    return {'real'}
end
if buckets > voters + 3 then
    return {'error'}
end
if clock() - changed_at < tonumber(ARGV[3]) * 1000000 then
    return {'young'}
end

local own, found = {}, 0
for at = 1, #ARGV[4], 8 do
    own[sub(ARGV[4], at, at + 7)] = true
end
local prefix = sub(heads_key, 1, -6) .. format('%.0f:', number)
for i = 0, buckets - 1 do
    local bucket = i < size and i or (1 + math.floor((i - size) / split)) * size + (i - size) % split
    local fields = try('HKEYS', prefix .. format('%.0f', bucket))
    if fields.err then
        return {'error'}
    end
    for _, field in ipairs(fields) do
        if #field ~= 8 then
            return {'error'}
        end
        local part = unpack_bytes('<I4', field, 5)
        if not own[format('%08x', part == 0 and 1 or part)] then
            return {'real'}
        end
        found = found + 1
    end
end
if found ~= voters then
    return {'error'}
end

local version = next_version(meta[1], 0)
if not version then
    return {'error'}
end
local text = format('%.0f', version)
call('HSET', heads_key, article, write_head(version, number, voters, level, split, nil, sub(head, 25, counts_end), '', '', true))
call('HSET', meta_key, 'version', text)
call('ZADD', changed_key, text, article)
call('ZADD', forgotten_key, text, article)
hint(changed_key, ARGV[2])
return {'forgotten'}

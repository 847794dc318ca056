-- Removes the rest of articles that were forgotten some time ago (FORMATS.md 5.5): head, registers, and entry in the changed
-- set. An article with a reaction since then is no longer forgotten, and stays.
--
-- KEYS  heads, changed, meta, forgotten of one shard
-- ARGV  1 the least age in seconds; 2 how many articles at most; 3 the store's id
-- Answers {'done'} or {'more'}; {'paused'}: the shard's totals are being counted (FORMATS.md 5.3), and nothing was done; {'store'}: another store is there, likewise
local heads_key, changed_key, meta_key, forgotten_key = unpack(KEYS)
if another_store(meta_key) then
    return {'store'}
end

local prefix = sub(heads_key, 1, -6)
local most = tonumber(ARGV[2])

if paused_ms(call('HGET', meta_key, 'pause')) then
    return {'paused'}
end
local due = call('ZRANGEBYSCORE', forgotten_key, '-inf', format('%.0f', clock() - tonumber(ARGV[1]) * 1000000), 'LIMIT', 0, most)
call('ZCARD', changed_key) -- of a wrong type it must not fail after the first write
for _, article in ipairs(due) do
    local head = call('HGET', heads_key, article)
    local version, number, _, level, split, _, _, forgotten = read_head(head or '')
    if version and forgotten then
        local size, keys = 4 ^ level, {}
        -- A forgotten article had few voters; a new vote removes the mark.
        for i = 0, math.min(size + 3 * split, 100) - 1 do
            local bucket = i < size and i or (1 + math.floor((i - size) / split)) * size + (i - size) % split
            keys[#keys + 1] = prefix .. format('%.0f:%.0f', number, bucket)
        end
        call('UNLINK', unpack(keys))
        call('HDEL', heads_key, article)
        call('ZREM', changed_key, article)
    end
    call('ZREM', forgotten_key, article)
end
return {#due == most and 'more' or 'done'}

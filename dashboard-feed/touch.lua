-- Gives one article a version above one that a broker retains or readers were shown, and that Redis has lost or never had: head, changed set,
-- version and article number move together or not at all (INTERFACES.md 5). Counts stay as they are; an article without a head gets one of no
-- voters. So every edge's feed hears of it as of any other change. Where its version is above that one already, nothing is done: two feeds that
-- find the same article touch it once.
--
-- KEYS  heads, changed, meta of one shard, tally:store
-- ARGV  1 article; 2 the version to be passed; 3 shard; 4 the store's id
-- Answers
--       {'ok', version}  which it has now
--       {'paused', ms}   the shard's totals are being counted (INTERFACES.md 5.3), so long at most: nothing was done
--       {'store', id}    another store is there; '': none: nothing was done
--       {'error', what}  nothing was done
local call, try = redis.call, redis.pcall
local pack, unpack, sub, byte, format = struct.pack, struct.unpack, string.sub, string.byte, string.format

local heads_key, changed_key, meta_key = KEYS[1], KEYS[2], KEYS[3]
local article, above = ARGV[1], tonumber(ARGV[2])

local id = call('HGET', KEYS[4], 'id') or ''
if id ~= ARGV[4] then
    return {'store', id}
end

-- What the keys hold is asked for before the first write: of a wrong type, they must not fail after it.
local meta = try('HMGET', meta_key, 'version', 'articles', 'pause')
local head = try('HGET', heads_key, article)
local members = try('ZCARD', changed_key)
for _, answer in ipairs({meta, head, members}) do
    if type(answer) == 'table' and answer.err then
        return {'error', answer.err}
    end
end

local time = call('TIME')
local now = time[1] * 1000000 + time[2]
if meta[3] then
    local from, to = string.match(meta[3], '^(%d+) (%d+) ')
    from, to = tonumber(from), tonumber(to)
    if from and from <= now and now < to and to - from <= 2000000 then
        return {'paused', math.ceil((to - now) / 1000)}
    end
end

local version, number = math.max(tonumber(meta[1] or 0) + 1, now, above + 1), tonumber(meta[2] or 0)
if version > 9007199254740991 then
    return {'error', 'BADVERSION no version is above ' .. ARGV[2]}
end
if head then
    local n = byte(head, 24)
    if not n or byte(head, 1) ~= 1 or #head ~= 24 + 5 * n + (byte(head, 2) == 1 and 8 or 0) then
        return {'error', 'BADHEAD a head of an unknown format'}
    end
    local has = unpack('<I8', head, 3)
    if has > above then
        return {'ok', format('%.0f', has)}
    end
    head = sub(head, 1, 2) .. pack('<I8', version) .. sub(head, 11)
else
    number = number + 1
    head = pack('<BBI8I4I4BI4B', 1, 0, version, number, 0, 0, 0, 0)
end

local text = format('%.0f', version)
call('HSET', heads_key, article, head)
call('HSET', meta_key, 'version', text, 'articles', format('%.0f', number))
call('ZADD', changed_key, text, article)
try('PUBLISH', 'tally:changed', ARGV[3]) -- a hint: that it cannot be given spoils nothing
return {'ok', text}

-- The beginning of each of the operator's scripts. The build prepends it to them, and lib/lua/prelude.lua to it. An article is read
-- completely before anything is written; then its head, base, version and place in the changed set change together (FORMATS.md 5).
--
-- KEYS  heads, base, changed, meta, states, dropped of one shard
-- ARGV  1 shard; the rest is each script's own
-- Any of them may answer, and nothing was done:
--         {'paused', ms}  the shard's totals are being counted (5.3), for this long at most
--         {'moving'}      the shard is on its way to another node, and some of its keys may be there already
local MOST = 9007199254740991 -- of a count in a base: Lua numbers and all JSON readers hold this exactly
local heads_key, base_key, changed_key, meta_key, states_key, dropped_key = unpack(KEYS)
local prefix = sub(heads_key, 1, -6)

if moving(heads_key) then
    return {'moving'}
end
local meta = call('HMGET', meta_key, 'version', 'articles', 'pause')
local last_version, last_number = tonumber(meta[1] or 0), tonumber(meta[2] or 0)
call('ZCARD', changed_key) -- a key of a wrong type must fail before the first write
call('HLEN', dropped_key)

local rest_ms = paused_ms(meta[3])
if rest_ms then
    return {'paused', rest_ms}
end

-- The stored article, with number 0 if it has no head; nil and the name of the part if its format is unknown.
local function read(article)
    local head, base = call('HGET', heads_key, article), call('HGET', base_key, article)
    local a = {article = article, number = 0, voters = 0, level = 0, split = 0, counts = {}, base = {}}
    if head then
        local version, number, voters, level, split, floor, counts_end, forgotten = read_head(head)
        if not version then
            return nil, 'head'
        end
        a.version, a.number, a.voters, a.level, a.split, a.floor = version, number, voters, level, split, floor
        for at = 25, counts_end, 5 do
            local kind, count = unpack_bytes('<BI4', head, at)
            a.counts[kind] = count
        end
        a.forgotten = forgotten
    end
    if base then
        local n = byte(base, 2)
        if not n or byte(base, 1) ~= 1 or n > KINDS or #base ~= 2 + 9 * n then
            return nil, 'base'
        end
        for i = 0, n - 1 do
            local kind, count = unpack_bytes('<Bi8', base, 3 + 9 * i)
            if kind < 1 or kind > KINDS or a.base[kind] then
                return nil, 'base'
            end
            a.base[kind] = count
        end
    end
    return a
end

-- The prefix of the keys of an article's registers.
local function registers_of(number)
    return prefix .. format('%.0f:', number)
end

local function next_number()
    last_number = last_number + 1
    return last_number
end

-- Writes the article with a new version and returns the version.
local function write(a)
    local counts, base, made = {}, {}, a.number == 0
    for kind = 1, KINDS do
        if (a.counts[kind] or 0) > 0 then
            counts[#counts + 1] = pack('<BI4', kind, a.counts[kind])
        end
        if (a.base[kind] or 0) ~= 0 then
            base[#base + 1] = pack('<Bi8', kind, a.base[kind])
        end
    end
    if made then
        a.number = next_number()
    end
    last_version = math.max(last_version + 1, clock())
    call('HSET', heads_key, a.article,
         write_head(last_version, a.number, a.voters, a.level, a.split, a.floor, table.concat(counts), '', '', a.forgotten and #base == 0))
    if #base > 0 then
        call('HSET', base_key, a.article, pack('<BB', 1, #base) .. table.concat(base))
    else
        call('HDEL', base_key, a.article)
    end
    call('HSET', meta_key, 'version', format('%.0f', last_version), 'articles', format('%.0f', last_number))
    call('ZADD', changed_key, format('%.0f', last_version), a.article)
    if made then
        widen(heads_key, changed_key)
    end
    return last_version
end

-- A hint on the channel `tally:{shard}:changed`: a failure here is harmless.
local function hint()
    try('SPUBLISH', changed_key, ARGV[1])
end

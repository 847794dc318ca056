-- The beginning of every script that reads a head or a shard's pause. The build prepends it (cmake/embed.cmake), so that all of them
-- read the same bytes in the same way. A head of another format, with unknown flags, or of an impossible form is rejected.
--
-- Integers are little-endian, except values of registers.
local call, try = redis.call, redis.pcall
local pack, unpack_bytes = struct.pack, struct.unpack
local byte, sub, format = string.byte, string.sub, string.format

local KINDS = 15
local HEAD = '<BBI8I4I4BI4B' -- FORMATS.md 5.1, up to the counts
local BADHEAD = 'BADHEAD a head of an unknown format'
local BADVERSION = 'BADVERSION no version is above '
local MOST_VERSION = 9007199254740991 -- that a score and a Lua number hold exactly

-- Redis's clock in µs, constant during a call.
local clock_us
local function clock()
    if not clock_us then
        local time = call('TIME')
        clock_us = time[1] * 1000000 + time[2]
    end
    return clock_us
end

-- The store that a shard's data belongs to, if it is another one than the caller's: its id, '' if it names none. Returns nil if it is the
-- caller's, or where `meta` cannot be read, of which the script's next look at it tells. The last argument of such a script is the id of
-- the caller's store.
local function another_store(meta_key)
    local id = try('HGET', meta_key, 'store') or ''
    if type(id) == 'string' and id ~= ARGV[#ARGV] then
        return id
    end
end

-- The first error among these replies of try(); nil if there is none. A script tries all keys before its first write, because a key of a
-- wrong type must not fail after it.
local function first_error(...)
    for _, reply in ipairs({...}) do
        if type(reply) == 'table' and reply.err then
            return reply.err
        end
    end
end

-- The version of a shard's next change: above its last one (text, or false) and above `above`, and the clock's if that is higher. Returns
-- nil if no version is.
local function next_version(last, above)
    local version = math.max(tonumber(last or 0) + 1, clock(), above + 1)
    if version <= MOST_VERSION then
        return version
    end
end

-- Whether the shard of this key is on its way to another node of a cluster, key by key. The node refuses a key that it does not have, because
-- the other one may have it. `moving` is never stored.
local function moving(heads_key)
    return type(try('EXISTS', sub(heads_key, 1, -6) .. 'moving')) == 'table'
end

-- Returns version, article number, voters, level, split position, floor (nil without one), the end of the counts, and whether the
-- article is forgotten (5.5). The counts begin at byte 25: id and number of each kind with a count, in the order of the ids. Returns nil
-- for a head of any other form.
local function read_head(head)
    if #head < 24 then
        return nil
    end
    local head_format, flags, version, number, voters, level, split, n = unpack_bytes(HEAD, head)
    local counts_end, last = 24 + 5 * n, 0
    if head_format ~= 1 or flags > 2 or #head ~= counts_end + (flags == 1 and 8 or 0) or level > KINDS or split >= 4 ^ level then
        return nil
    end
    for at = 25, counts_end, 5 do
        local kind = byte(head, at)
        if kind <= last then
            return nil
        end
        last = kind
    end
    if last > KINDS then
        return nil
    end
    local floor = flags == 1 and unpack_bytes('<I8', head, counts_end + 1) or nil
    return version, number, voters, level, split, floor, counts_end, flags == 2
end

-- Builds a head. The counts come in three pieces, which is how a change of one kind's count produces them. `forgotten` is optional.
local function write_head(version, number, voters, level, split, floor, before, its, behind, forgotten)
    local n = (#before + #its + #behind) / 5
    return pack(HEAD, 1, floor and 1 or forgotten and 2 or 0, version, number, voters, level, split, n) .. before .. its .. behind ..
           (floor and pack('<I8', floor) or '')
end

-- Writes an article's head, which has this version: head, changed set, version and article number move together (FORMATS.md 5). `number` is
-- the shard's last article number. Returns the version as text.
local function write_article(heads_key, changed_key, meta_key, article, head, version, number)
    local text = format('%.0f', version)
    call('HSET', heads_key, article, head)
    call('HSET', meta_key, 'version', text, 'articles', format('%.0f', number))
    call('ZADD', changed_key, text, article)
    return text
end

-- Tells the feeds what changed: `what` goes out on the channel that is named like the key. It is a hint: a failure does no harm.
local function hint(key, what)
    try('SPUBLISH', key, what)
end

-- The kind that a register's value counts for: 0 if none. A value has 56 bits, and a Lua number holds 53.
local function counted_kind(value, floor)
    if floor then
        local hi, lo = unpack_bytes('>I6B', value)
        if hi * 16 + math.floor(lo / 16) <= floor then
            return 0
        end
    end
    return byte(value, 7) % 16
end

-- Returns the start, end and owner of a shard's pause (FORMATS.md 5.3). Returns nil if there is no pause, if its length is impossible, or
-- if it has not begun: such a pause dates from before the clock was set back.
local function read_pause(text)
    local from, to, whose = string.match(text or '', '^(%d+) (%d+) (%x+)$')
    from, to = tonumber(from), tonumber(to)
    if from and from <= clock() and from <= to and to - from <= 2000000 then
        return from, to, whose
    end
end

-- For how many more ms, at most, the shard's totals are being counted; nil if they are not.
local function paused_ms(text)
    local _, to = read_pause(text)
    if to and clock() < to then
        return math.ceil((to - clock()) / 1000)
    end
end

-- Longer than any element that a hash or a sorted set keeps in a listpack. Adding it for a moment turns them into tables permanently
-- (until a restart of Redis finds them small). Each call looks up dozens of heads and changed articles, and a lookup in a listpack
-- searches from its beginning.
local WIDE = string.rep(' ', 65)
local function widen(heads_key, changed_key)
    call('HSET', heads_key, WIDE, WIDE)
    call('HDEL', heads_key, WIDE)
    call('ZADD', changed_key, 0, WIDE)
    call('ZREM', changed_key, WIDE)
end

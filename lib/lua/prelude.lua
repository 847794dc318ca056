-- What each script that reads a head or a shard's pause begins with: the build puts it before them (cmake/embed.cmake), so that all
-- of them read the same bytes alike. A head of another format, with flags that nobody here knows, or of an impossible form is refused.
--
-- Integers are little-endian but for values of registers.
local call, try = redis.call, redis.pcall
local pack, unpack_bytes = struct.pack, struct.unpack
local byte, sub, format = string.byte, string.sub, string.format

local KINDS = 15
local HEAD = '<BBI8I4I4BI4B' -- FORMATS.md 5.1, up to the counts
local BADHEAD = 'BADHEAD a head of an unknown format'

-- Redis's clock in µs, the same for all of a call.
local clock_us
local function clock()
    if not clock_us then
        local time = call('TIME')
        clock_us = time[1] * 1000000 + time[2]
    end
    return clock_us
end

-- Version, article number, voters, level, split position, floor (nil without one), where the counts end, and whether the article is
-- forgotten (5.5). The counts begin with byte 25: id and number of each kind that has any, in the order of the ids. Nothing for a head
-- of any other form.
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

-- A head. Its counts come in three pieces, as who changes one kind's has them. `forgotten` may be left out.
local function write_head(version, number, voters, level, split, floor, before, its, behind, forgotten)
    local n = (#before + #its + #behind) / 5
    return pack(HEAD, 1, floor and 1 or forgotten and 2 or 0, version, number, voters, level, split, n) .. before .. its .. behind ..
           (floor and pack('<I8', floor) or '')
end

-- As what a register's value counts: 0 where it counts for nothing. A value has 56 bits and a number here holds 53.
local function counted_kind(value, floor)
    if floor then
        local hi, lo = unpack_bytes('>I6B', value)
        if hi * 16 + math.floor(lo / 16) <= floor then
            return 0
        end
    end
    return byte(value, 7) % 16
end

-- From when to when, and whose, by a shard's pause (FORMATS.md 5.3). Nothing where there is none, also where it has not begun, as
-- that is of before the clock was set back, or is of an impossible length.
local function read_pause(text)
    local from, to, whose = string.match(text or '', '^(%d+) (%d+) (%x+)$')
    from, to = tonumber(from), tonumber(to)
    if from and from <= clock() and from <= to and to - from <= 2000000 then
        return from, to, whose
    end
end

-- For how many ms the shard's totals are being counted still, at most; nil where they are not.
local function paused_ms(text)
    local _, to = read_pause(text)
    if to and clock() < to then
        return math.ceil((to - clock()) / 1000)
    end
end

-- Longer than what a hash or a sorted set keeps in a listpack: with it for a moment, they become tables for good (until a restart
-- of Redis that finds them small). Heads and changed articles are looked up by the dozen in each call; a listpack is looked
-- through from its beginning.
local WIDE = string.rep(' ', 65)
local function widen(heads_key, changed_key)
    call('HSET', heads_key, WIDE, WIDE)
    call('HDEL', heads_key, WIDE)
    call('ZADD', changed_key, 0, WIDE)
    call('ZREM', changed_key, WIDE)
end

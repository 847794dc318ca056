-- Deletes one reader's registers in some articles (FORMATS.md 5.4), and finishes each article before the next.
-- ARGV  2 'do', or 'look': nothing is changed; 3 '1': their counts are kept in the base; then for each article its id and the
--       reader's hash there, 8 bytes
-- Answers {'ok', registers found, how many of them counted, articles skipped because their stored form is unknown}
local doing, keep = ARGV[2] == 'do', ARGV[3] == '1'
local found, counted, damaged = 0, 0, 0

local function key_of(a, bucket)
    return registers_of(a.number) .. format('%.0f', bucket)
end

-- Undoes the last split (collector/register.lua): moves its three buckets back into the original one. Returns false if one of them is
-- of another type.
local function merge(a)
    local level, split = a.level, a.split
    if split == 0 then
        level = level - 1
        split = 4 ^ level
    end
    local size, into, all = 4 ^ level, split - 1, {}
    for quarter = 1, 3 do
        all[quarter] = try('HGETALL', key_of(a, into + quarter * size))
        if all[quarter].err then
            return false
        end
    end
    for quarter = 1, 3 do
        for i = 1, #all[quarter], 2 do
            call('HSET', key_of(a, into), all[quarter][i], all[quarter][i + 1])
        end
        call('UNLINK', key_of(a, into + quarter * size))
    end
    a.level, a.split = level, into
    return true
end

-- The kind that a register counts for: 0 if none.
local function kind_of(a, value)
    if #value ~= 7 then
        return 0
    end
    return counted_kind(value, a.floor)
end

-- copy: the key where a split that failed midway (collector/register.lua) may have left a copy. A later, successful split would turn
-- that copy into a register again.
local function erase(a, key, copy, field, kind)
    if kind ~= 0 then
        a.counts[kind] = a.counts[kind] - 1
        if keep then
            a.base[kind] = (a.base[kind] or 0) + 1
        end
    end
    call('HDEL', key, field)
    try('HDEL', copy, field)
    a.voters = a.voters - 1
    -- Keeps at most as many buckets as lib/audit/count.lua accepts for this number of voters.
    while 4 ^ a.level + 3 * a.split > a.voters + 3 do
        if not merge(a) then
            break
        end
    end
    write(a)
end

for i = 4, #ARGV, 2 do
    local a, field = read(ARGV[i]), ARGV[i + 1]
    if a and a.number > 0 then
        local hash, size = unpack_bytes('<I4', field), 4 ^ a.level
        local bucket = hash % size
        if bucket < a.split then
            bucket = hash % (size * 4)
        end
        local key = key_of(a, bucket)
        local value = try('HGET', key, field)
        if type(value) == 'string' then
            local kind = kind_of(a, value)
            if a.voters == 0 or (kind ~= 0 and ((a.counts[kind] or 0) == 0 or (keep and (a.base[kind] or 0) >= MOST))) then
                damaged = damaged + 1
            else
                found = found + 1
                counted = counted + (kind ~= 0 and 1 or 0)
                if doing then
                    erase(a, key, key_of(a, hash % (size * 4)), field, kind)
                end
            end
        elseif type(value) == 'table' then
            damaged = damaged + 1
        end
    elseif not a then
        damaged = damaged + 1
    end
end
if doing and found > 0 then
    hint()
end
return {'ok', found, counted, damaged}

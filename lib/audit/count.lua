-- Counts some of one article's registers, and says what its totals in Redis are (FORMATS.md 5). Changes nothing.
-- All slices of a count whose head stayed as it was saw one and the same state of the registers, as far as it can be
-- counted: what changes a count raises the head's version, a new register its voters.
-- KEYS  heads, base, changed, meta of one shard
-- ARGV  1 article; 2 the head as the first slice saw it, '' for the first; 3 how many buckets were counted before; 4 the
--       cursor in the next, '0' at its beginning; 5 how many registers are counted at most, except that Redis gives a small bucket
--       (up to hash-max-listpack-entries) only as a whole
-- Answers {'moving'}   its shard is on its way to another node, and some of its keys may be there already
--         {'none'}     there is no such article
--         {'changed'}  its head has changed: start the count again
--         {'bad'}      its head is malformed
--         {'ok', head, base, its version in the changed set, last version of the shard, buckets counted, cursor,
--          20 × u32}   of this slice: registers by kind id 0 to 15 (those not above the floor as 0), registers, in a bucket
--                      that is not theirs, of an unknown form; of the article: buckets
-- lib/lua/prelude.lua goes before it.
local floor_of = math.floor
local BUCKETS = 250 -- looked at by one call at most

if moving(KEYS[1]) then
    return {'moving'}
end
local head = redis.call('HGET', KEYS[1], ARGV[1])
if not head then
    return {'none'}
end
if ARGV[2] ~= '' and head ~= ARGV[2] then
    return {'changed'}
end
local version, number, voters, level, split, floor = read_head(head)
if not version then
    return {'bad'}
end
local size = 4 ^ level
local buckets = size + 3 * split
-- A split needs a new voter; erasing voters undoes splits (cli/erase.lua).
if buckets > voters + 3 then
    return {'bad'}
end

local prefix = string.sub(KEYS[1], 1, -6) .. format('%.0f', number) .. ':'
local at, cursor, most = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local counts, registers, misplaced, malformed = {}, 0, 0, 0
for kind = 0, 15 do
    counts[kind] = 0
end

-- The buckets in their order: those of before the split position grew, then the three new ones of each that was split.
local function bucket_at(i)
    if i < size then
        return i
    end
    i = i - size
    return (1 + floor_of(i / split)) * size + i % split
end

local function count(bucket, list)
    for i = 1, #list, 2 do
        local field, value = list[i], list[i + 1]
        registers = registers + 1
        if #field ~= 8 or #value ~= 7 then
            malformed = malformed + 1
        else
            local a, b, c, d = byte(field, 1, 4)
            local hash = a + 256 * b + 65536 * c + 16777216 * d
            local own = hash % size
            if own < split then
                own = hash % (4 * size)
            end
            if own ~= bucket then
                misplaced = misplaced + 1
            end
            local kind = counted_kind(value, floor)
            counts[kind] = counts[kind] + 1
        end
    end
end

local looked = 0
while at < buckets and registers < most and looked < BUCKETS do
    local bucket = bucket_at(at)
    local key = prefix .. format('%.0f', bucket)
    local length = try('HLEN', key)
    looked = looked + 1
    if type(length) == 'table' then -- of another type
        malformed = malformed + 1
        at = at + 1
    elseif cursor == '0' and registers + length <= most then
        count(bucket, try('HGETALL', key))
        at = at + 1
    elseif registers > 0 then
        break
    else
        local some = try('HSCAN', key, cursor, 'COUNT', most)
        cursor = some[1]
        count(bucket, some[2])
        if cursor == '0' then
            at = at + 1
        end
        break
    end
end

local found = {}
for kind = 0, 15 do
    found[#found + 1] = struct.pack('<I4', counts[kind])
end
for _, value in ipairs({registers, misplaced, malformed, buckets}) do
    found[#found + 1] = struct.pack('<I4', value)
end
local score = try('ZSCORE', KEYS[3], ARGV[1])
local base = try('HGET', KEYS[2], ARGV[1])
local last = try('HGET', KEYS[4], 'version')
return {'ok', head, type(base) == 'string' and base or '', type(score) == 'string' and score or '',
        type(last) == 'string' and last or '', at, cursor, table.concat(found)}

-- Deletes some of the registers of an article number that is no longer in use. The same step checks that the number is in `dropped`:
-- if Redis lost its last second, an article may have the number again.
-- ARGV  2 number; 3 how many of its buckets are already deleted; 4 how many to delete at most
-- Answers {'more', buckets deleted}, {'done'}, or {'none'}: this number is not in `dropped`
local shape = call('HGET', dropped_key, ARGV[2])
if not shape then
    return {'none'}
end
local level, split = string.match(shape, '^(%d+) (%d+)$')
level, split = tonumber(level), tonumber(split)
if not level or level > 15 or split > 4 ^ level then
    return redis.error_reply('BADDROPPED not a level and a split position')
end
local size, base = 4 ^ level, registers_of(tonumber(ARGV[2]))
local buckets = size + 3 * split
local from = tonumber(ARGV[3])
local to = math.min(from + tonumber(ARGV[4]), buckets)
-- First the buckets of this level, then the three new ones of each split bucket, numbered here without gaps.
for first = from, to - 1, 100 do
    local keys = {}
    for i = first, math.min(first + 100, to) - 1 do
        local bucket = i
        if i >= size then
            bucket = (1 + math.floor((i - size) / split)) * size + (i - size) % split
        end
        keys[#keys + 1] = base .. format('%.0f', bucket)
    end
    call('UNLINK', unpack(keys))
end
if to < buckets then
    return {'more', to}
end
-- Leftovers of register.lua, if a split failed midway.
call('UNLINK', base .. 'split', base .. format('%.0f', split + size), base .. format('%.0f', split + 2 * size),
     base .. format('%.0f', split + 3 * size))
call('HDEL', dropped_key, ARGV[2])
return {'done'}

-- Restarts an article from zero: a new number, no voters, and a floor; every stamp at or below it counts as none (FORMATS.md 5.4). The
-- counts are either deleted with the base or added to it. The same step notes the old registers as dropped.
-- ARGV  2 article; 3 '1': its counts are kept in its base; 4 'do', or 'look': nothing is changed; 5 optional: the state that the caller
--       saw ('' for none), which must not have changed since
-- Answers {'none'}           the article does not exist
--         {'damaged', what}  the form of the stored part is unknown
--         {'changed'}        its state has changed since
--         {'full'}           the sum of base and counts is too large
--         {'ok', version, registers that it had, sum of its counts, sum of its base}
local EPOCH_MS, COUNTS = 1704067200000, 2048 -- of stamps

local a, what = read(ARGV[2])
if not a then
    return {'damaged', what}
end
if a.number == 0 and next(a.base) == nil then
    return {'none'}
end
if ARGV[5] and (call('HGET', states_key, a.article) or '') ~= ARGV[5] then
    return {'changed'}
end
local voters, counted, based, version = a.voters, 0, 0, 0
for kind = 1, KINDS do
    counted = counted + (a.counts[kind] or 0)
    based = based + (a.base[kind] or 0)
    if ARGV[3] == '1' and (a.counts[kind] or 0) > MOST - (a.base[kind] or 0) then
        return {'full'}
    end
end
if ARGV[4] == 'do' then
    if ARGV[3] == '1' then
        for kind, count in pairs(a.counts) do
            a.base[kind] = (a.base[kind] or 0) + count
        end
    else
        a.base = {}
    end
    if a.number > 0 then
        call('HSET', dropped_key, format('%.0f', a.number), format('%.0f %.0f', a.level, a.split))
        a.number = next_number()
    end
    -- The whole current millisecond counts as before the reset.
    local floor = (math.floor(clock() / 1000) - EPOCH_MS) * COUNTS + COUNTS - 1
    a.voters, a.level, a.split, a.counts, a.floor = 0, 0, 0, {}, math.max(a.floor or 0, floor)
    version = write(a)
    hint()
end
return {'ok', version, voters, counted, based}

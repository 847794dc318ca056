-- Begins an article anew: another number, no voters, and a floor below which every stamp counts as none (FORMATS.md 5.4). Its counts
-- go with its base, or are added to it. The old registers are noted as dropped in the same step.
-- ARGV  2 article; 3 '1': its counts are kept in its base; 4 'do', or 'look': nothing is changed; 5 its state as the caller saw it ('' for
--       none), where it must not have changed since
-- Answers {'none'}           there is no such article
--         {'damaged', what}  what is stored of it is of no known form
--         {'changed'}        its state is another by now
--         {'full'}           base and counts are too much together
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
    -- All of this millisecond counts as before.
    local floor = (math.floor(clock() / 1000) - EPOCH_MS) * COUNTS + COUNTS - 1
    a.voters, a.level, a.split, a.counts, a.floor = 0, 0, 0, {}, math.max(a.floor or 0, floor)
    version = write(a)
    hint()
end
return {'ok', version, voters, counted, based}

-- Sets an article's base: counts of before Tally, beside its registers (FORMATS.md 5.4). Absolute, so that a repeat changes nothing.
-- ARGV  2 article; 3 the base as it is to be, packed as it is stored, '' for none; 4 'do', or 'look': nothing is changed; 5 '1': whatever
--       it was; 6 '1': it was read together with registers, which may be those that are here
-- Answers {'ok'}              set
--         {'same'}            it was so already
--         {'base', sum}       it has another, and ARGV[5] is not 1
--         {'registers', n}    it has registers here, too, and ARGV[5] is not 1
--         {'damaged', what}   what is stored of it is of no known form
local a, what = read(ARGV[2])
if not a then
    return {'damaged', what}
end
local wanted = {}
for at = 3, #ARGV[3], 9 do
    local kind, count = unpack_bytes('<Bi8', ARGV[3], at)
    wanted[kind] = count
end
local same, sum, some = true, 0, false
for kind = 1, KINDS do
    local count = a.base[kind] or 0
    same = same and count == (wanted[kind] or 0)
    sum = sum + count
    some = some or count ~= 0
end
if same and a.number > 0 then
    return {'same'}
end
if ARGV[5] ~= '1' and some and not same then
    return {'base', sum}
end
if ARGV[5] ~= '1' and ARGV[6] == '1' and a.voters > 0 then
    return {'registers', a.voters}
end
if ARGV[4] == 'do' then
    a.base = wanted
    write(a)
    hint()
end
return {'ok'}

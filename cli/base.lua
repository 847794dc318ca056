-- Sets an article's base: counts from before Tally, beside its registers (FORMATS.md 5.4). The base is absolute, so a repeat changes nothing.
-- ARGV  2 article; 3 the new base, packed as stored, '' for none; 4 'do', or 'look': nothing is changed; 5 '1': replace any former
--       base; 6 '1': it was exported together with registers, which may be the ones here
-- Answers {'ok'}              set
--         {'same'}            it was already set
--         {'base', sum}       the article has another base, and ARGV[5] is not 1
--         {'registers', n}    the article also has registers here, and ARGV[5] is not 1
--         {'damaged', what}   the form of the stored part is unknown
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

-- Pauses the applying of one shard for a moment, or ends the pause (FORMATS.md 5.3). register.lua looks at it in the
-- same step in which it would apply, so it holds for every edge at once; it ends by itself.
-- KEYS  meta of one shard
-- ARGV  1 whose pause: 16 hex digits; 2 for how many ms, 2,000 at most; 0 ends it, where it is theirs
-- Answers {'paused', ms}, {'ended'}, or {'wait', ms}: another's pause, or the shard is owed as long a time without one.
-- lib/lua/prelude.lua goes before it.
local now = clock()
local from, to, whose = read_pause(call('HGET', KEYS[1], 'pause'))
local wanted = math.min(tonumber(ARGV[2]), 2000) * 1000
if wanted == 0 then
    if whose == ARGV[1] and now < to then
        call('HSET', KEYS[1], 'pause', format('%.0f %.0f %s', from, now, whose))
    end
    return {'ended'}
end
if from and now < to + (to - from) then
    return {'wait', math.ceil((to + (to - from) - now) / 1000)}
end
call('HSET', KEYS[1], 'pause', format('%.0f %.0f %s', now, now + wanted, ARGV[1]))
return {'paused', wanted / 1000}

-- Reads from one store and no other, in one step (FORMATS.md 5): where Redis holds another store, nothing is read. It writes nothing, so
-- that Redis runs it when its memory is full, too, in which it refuses MULTI.
--
-- KEYS  tally:store, then what is read
-- ARGV  1 the store's id; then each command: how many words it has, and these
-- Answers
--       {'ok', what each command answers}
--       {'store', id}  another store is there; '': none
local id = redis.call('HGET', KEYS[1], 'id') or ''
if id ~= ARGV[1] then
    return {'store', id}
end
local answers, at = {'ok'}, 2
while ARGV[at] do
    local words = tonumber(ARGV[at])
    answers[#answers + 1] = redis.call(unpack(ARGV, at + 1, at + words))
    at = at + words + 1
end
return answers

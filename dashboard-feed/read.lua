-- Reads from one store and no other, in one step (FORMATS.md 5). If Redis holds another store, it reads nothing. It writes nothing, so
-- Redis runs it even when its memory is full, when it refuses MULTI.
--
-- KEYS  meta of a shard, then what is read
-- ARGV  1 the store's id; then each command: its number of words, and the words
-- Answers
--       {'ok', what each command answers}
--       {'store', id}  another store is there; '': none
local id = redis.call('HGET', KEYS[1], 'store') or ''
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

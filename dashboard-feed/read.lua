-- Reads from one store and no other, in one step (FORMATS.md 5). If Redis holds another store, it reads nothing. It writes nothing, so
-- Redis runs it even when its memory is full, when it refuses MULTI.
--
-- KEYS  meta of a shard, then what is read
-- ARGV  1 the store's id; then each command: its number of words, and the words. 0 words, then a key: the words of the command before,
--       which reads another key. A key that does not exist then answers an empty list: few articles have a base or a state
-- Answers
--       {'ok', what each command answers}
--       {'store', id}  another store is there; '': none
local id = redis.call('HGET', KEYS[1], 'store') or ''
if id ~= ARGV[1] then
    return {'store', id}
end
local answers, at, first, last = {'ok'}, 2, 0, 0
while ARGV[at] do
    local words, answer = tonumber(ARGV[at]), {}
    if words > 0 then
        first, last = at + 1, at + words
        answer = redis.call(unpack(ARGV, first, last))
        at = last + 1
    else
        local key = ARGV[at + 1]
        if redis.call('EXISTS', key) == 1 then
            answer = redis.call(ARGV[first], key, unpack(ARGV, first + 2, last))
        end
        at = at + 2
    end
    answers[#answers + 1] = answer
end
return answers

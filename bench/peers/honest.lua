-- One reaction of one reader, each reader counted once an article. KEYS: the article's totals, its readers; ARGV: reader, kind (`none` takes back).
-- Answers 1 where it changed something, else 0.
local held = redis.call('HGET', KEYS[2], ARGV[1])
if held == ARGV[2] or (not held and ARGV[2] == 'none') then
    return 0
end
if ARGV[2] == 'none' then
    redis.call('HDEL', KEYS[2], ARGV[1])
else
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
end
if held then
    redis.call('HINCRBY', KEYS[1], held, -1)
end
return 1

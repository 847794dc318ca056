-- Stores the state of one article, or removes it: state, head, changed set, version and article number move together or not at all
-- (FORMATS.md 5). A state's change is thus a change of the article, and every edge's feed hears of it like any other.
--
-- KEYS  heads, changed, meta, states of one shard
-- ARGV  1 article; 2 the version to be passed; 3 the state as JSON without its version, '' to take it away; 4 shard; 5 the store's id
-- Answers
--       {'ok', version}  '0': there was none to take away
--       {'paused', ms}   the shard's totals are being counted (FORMATS.md 5.3), so long at most: nothing was done
--       {'store', id}    another store is there; '': none: nothing was done
--       {'error', what}  nothing was done
-- lib/lua/prelude.lua goes before it.
local heads_key, changed_key, meta_key, states_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local article, above, state = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local another = another_store(meta_key)
if another then
    return {'store', another}
end

-- Read the keys before the first write: a key of a wrong type must not fail after it.
local meta = try('HMGET', meta_key, 'version', 'articles', 'pause')
local head = try('HGET', heads_key, article)
local stored = try('HGET', states_key, article)
local wrong = first_error(meta, head, stored, try('ZCARD', changed_key))
if wrong then
    return {'error', wrong}
end

local rest_ms = paused_ms(meta[3])
if rest_ms then
    return {'paused', rest_ms}
end
if state == '' and not stored then
    return {'ok', '0'}
end

local version, number = next_version(meta[1], above), tonumber(meta[2] or 0)
if not version then
    return {'error', BADVERSION .. ARGV[2]}
end
if head then
    local its_version, its_number, voters, level, split, floor, counts_end = read_head(head)
    if not its_version then
        return {'error', BADHEAD}
    end
    head = write_head(version, its_number, voters, level, split, floor, sub(head, 25, counts_end), '', '')
else
    number = number + 1
    head = write_head(version, number, 0, 0, 0, nil, '', '', '')
end

local text = write_article(heads_key, changed_key, meta_key, article, head, version, number)
if state == '' then
    call('HDEL', states_key, article)
else
    call('HSET', states_key, article, sub(state, 1, -2) .. ',"version":' .. text .. '}')
end
hint(changed_key, ARGV[4])
hint(states_key, article) -- for feeds with many pending changes: a state does not wait its turn
return {'ok', text}

-- Gives one article a version above one that a broker retains or readers were shown, and that Redis has lost or never had: head, changed set,
-- version and article number move together or not at all (FORMATS.md 5). Counts stay as they are; an article without a head gets one of no
-- voters. Every edge's feed hears of it like any other change. If its version is already higher, nothing is done: two feeds that
-- find the same article touch it once.
--
-- KEYS  heads, changed, meta of one shard
-- ARGV  1 article; 2 the version to be passed; 3 shard; 4 the store's id
-- Answers
--       {'ok', version}  which it has now
--       {'paused', ms}   the shard's totals are being counted (FORMATS.md 5.3), so long at most: nothing was done
--       {'store', id}    another store is there; '': none: nothing was done
--       {'error', what}  nothing was done
-- lib/lua/prelude.lua goes before it.
local heads_key, changed_key, meta_key = KEYS[1], KEYS[2], KEYS[3]
local article, above = ARGV[1], tonumber(ARGV[2])

local another = another_store(meta_key)
if another then
    return {'store', another}
end

-- Read the keys before the first write: a key of a wrong type must not fail after it.
local meta = try('HMGET', meta_key, 'version', 'articles', 'pause')
local head = try('HGET', heads_key, article)
local wrong = first_error(meta, head, try('ZCARD', changed_key))
if wrong then
    return {'error', wrong}
end

local rest_ms = paused_ms(meta[3])
if rest_ms then
    return {'paused', rest_ms}
end

local version, number = next_version(meta[1], above), tonumber(meta[2] or 0)
if not version then
    return {'error', BADVERSION .. ARGV[2]}
end
if head then
    local has, its_number, voters, level, split, floor, counts_end, forgotten = read_head(head)
    if not has then
        return {'error', BADHEAD}
    end
    if has > above then
        return {'ok', format('%.0f', has)}
    end
    head = write_head(version, its_number, voters, level, split, floor, sub(head, 25, counts_end), '', '', forgotten)
else
    number = number + 1
    head = write_head(version, number, 0, 0, 0, nil, '', '', '')
end

local text = write_article(heads_key, changed_key, meta_key, article, head, version, number)
hint(changed_key, ARGV[3])
return {'ok', text}

-- Applies one batch of one ring: registers, totals, versions, changed set and position move together or not at all
-- (FORMATS.md 5).
--
-- KEYS  heads, changed, meta, rings of one shard
-- ARGV  1 ring id; 2 the position where the batch starts, 8 bytes; 3 the position and sequence after it, 16 bytes;
--       4 records quarantined in it; 5 records lost before or in it; 6 edge id, 8 bytes; 7 voters a bucket; 8 shard;
--       9 '1': these records may have been applied before, shown, and lost since. Their articles get new versions even if no
--       count changes, because the versions shown were higher; 10 the store's id;
--       then for each article its id and its votes, 15 bytes each: reader hash 8, value 7
-- Answers
--       {'at', stored position}  the stored position differs from the batch's: nothing was done
--       {'ok', new, changed, repeated, superseded, split}  superseded: for each vote that lost, u16 index in the batch and u8
--                                kind id that holds; split: the error that prevented a split, or ''
--       {'store', why}           the shard belongs to another store, or names none (shard_store.lua): nothing was done
--       {'paused', ms}           the shard's totals are being counted (FORMATS.md 5.3), for this long at most: nothing was done
--       {'error', what, article} stopped: the heads include what was done, but the position has not moved, so that a repeat is
--                                harmless. article: 1 for the first, 0 if the error is in the shard's own keys
--
-- The build prepends lib/lua/prelude.lua and shard_store.lua. A value has 56 bits and a Lua number holds 53, so values are compared by
-- their first six bytes, then by the seventh.
local CHUNK = 1000 -- unpack() has a limit below 8,000
local heads_key, changed_key, meta_key, rings_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local prefix = sub(heads_key, 1, -6)
local threshold, renew = tonumber(ARGV[7]), ARGV[9] == '1'

local function in_chunks(command, key, list)
    local n = #list
    for i = 1, n, CHUNK do
        local answer = try(command, key, unpack(list, i, math.min(i + CHUNK - 1, n)))
        if type(answer) == 'table' and answer.err then
            return answer.err
        end
    end
end

-- Reads all the shard's own keys before the first write, so that a key of a wrong type cannot fail after it.
local stored = try('HGET', rings_key, ARGV[1])
if type(stored) == 'table' then
    return {'error', stored.err, 0}
end
if (stored and sub(stored, 1, 8) or '\0\0\0\0\0\0\0\0') ~= ARGV[2] then
    return {'at', stored or ''}
end
local quarantined, lost = 0, 0
if stored then
    quarantined, lost = unpack_bytes('<I8I8', stored, 17)
end
local meta = try('HMGET', meta_key, 'version', 'articles', 'pause', 'store')
local changed_members = try('ZCARD', changed_key)
local names, heads, articles = {}, {}, (#ARGV - 10) / 2
for a = 1, articles do
    names[a] = ARGV[9 + 2 * a]
end
if meta.err or type(changed_members) == 'table' then
    return {'error', meta.err or changed_members.err, 0}
end
local refusal = store_refusal(meta[4], ARGV[10])
if refusal then
    return {'store', refusal}
end
local rest_ms = paused_ms(meta[3])
if rest_ms then
    return {'paused', rest_ms}
end
for i = 1, articles, CHUNK do
    local some = try('HMGET', heads_key, unpack(names, i, math.min(i + CHUNK - 1, articles)))
    if some.err then
        return {'error', some.err, 0}
    end
    if i == 1 then
        heads = some
    else
        for k = 1, #some do
            heads[i + k - 1] = some[k]
        end
    end
end
local last_version, last_number = tonumber(meta[1] or 0), tonumber(meta[2] or 0)
local first_number = last_number

-- Linear hashing: moves three quarters of bucket `from` of 4^level = `size` to their own buckets. The remaining quarter is written to a
-- new key that replaces the bucket, because each single deletion would search the bucket. The split position moves only at the end, so
-- that a split that fails midway leaves the bucket unchanged, plus copies that are never read.
local function split_bucket(base, from, size)
    local bucket, stay = base .. format('%d', from), base .. 'split'
    local all = try('HGETALL', bucket)
    if all.err then
        return all.err
    end
    local to = {[0] = {}, {}, {}, {}}
    for i = 1, #all, 2 do
        local field = all[i]
        local list = to[math.floor(unpack_bytes('<I4', field) % (size * 4) / size)]
        local n = #list
        list[n + 1], list[n + 2] = field, all[i + 1]
    end
    for quarter = 1, 3 do
        local err = in_chunks('HSET', base .. format('%d', from + quarter * size), to[quarter])
        if err then
            return err
        end
    end
    if #to[0] == #all then
        return nil
    end
    local answer = try('DEL', #to[0] == 0 and bucket or stay)
    local err = type(answer) == 'table' and answer.err or in_chunks('HSET', stay, to[0])
    if not err and #to[0] > 0 then
        err = try('RENAME', stay, bucket).err
    end
    if err then
        try('DEL', stay)
    end
    return err
end

-- A head's counts are its bytes from 25 on: id and number of each kind with a count, in the order of the ids. They are changed in place,
-- because unpacking and repacking all of them costs more than a vote. Returns the bytes before the kind's count, the new count, and the
-- bytes after it: strings are most of an article's cost, so none is created needlessly.
local function with(text, first, last, kind, by)
    local at, rest = first, first
    while at <= last do
        local here = byte(text, at)
        if here >= kind then
            if here == kind then
                by, rest = by + unpack_bytes('<I4', text, at + 1), at + 5
            end
            break
        end
        at = at + 5
        rest = at
    end
    return sub(text, first, at - 1), by > 0 and pack('<BI4', kind, by) or '', sub(text, rest, last)
end

local news, changes, repeats, index = 0, 0, 0, 0
local superseded, split_error = {}, ''
local head_list, head_items, changed_list, changed_items = {}, 0, {}, 0
local failure, failed_article
-- For the current article: the change of each kind's count, and the kinds that change. The tables are reused to avoid garbage.
local more, kinds_moved, keys = {}, {}, {}

local function count(kind, by)
    local so_far = more[kind]
    if not so_far then
        kinds_moved[#kinds_moved + 1] = kind
    end
    more[kind] = (so_far or 0) + by
end

for a = 1, articles do
    local blob, head = ARGV[10 + 2 * a], heads[a]
    local number, voters, level, split, floor, forgotten = last_number + 1, 0, 0, 0, nil, false
    local version, counts, counts_end = 0, head or '', 24
    if head then
        version, number, voters, level, split, floor, counts_end, forgotten = read_head(head)
        if not version then
            failure, failed_article = BADHEAD, a
            break
        end
    end
    local size = 4 ^ level
    local limit = threshold * (size + 3 * split)
    local several = #blob > 15
    if several then
        keys = {}
    end
    local dirty, moved = false, false

    for at = 1, #blob, 15 do
        local field, value = unpack_bytes('c8c7', blob, at)
        local hash = unpack_bytes('<I4', field)
        local bucket = hash % size
        if bucket < split then
            bucket = hash % (size * 4)
        end
        local key = several and keys[bucket]
        if not key then
            key = format('%s%d:%d', prefix, number, bucket)
            if several then
                keys[bucket] = key
            end
        end
        local kind = byte(value, 7) % 16
        local answer = try('HSETNX', key, field, value)
        if answer == 1 then
            news = news + 1
            voters = voters + 1
            dirty = true
            if floor then
                local hi, lo = unpack_bytes('>I6B', value)
                if hi * 16 + math.floor(lo / 16) <= floor then
                    kind = 0
                end
            end
            if kind ~= 0 then
                local so_far = more[kind] -- count(), inlined for nearly all votes
                if so_far then
                    more[kind] = so_far + 1
                else
                    count(kind, 1)
                end
                moved = true
            end
            moved = moved or forgotten -- the article is shown again
            if voters > limit then
                local err = split_bucket(prefix .. format('%d:', number), split, size)
                if err then -- the bucket stays unsplit; the next batch tries again
                    split_error, limit = err, math.huge
                else
                    split = split + 1
                    if split == size then
                        level, split, size = level + 1, 0, size * 4
                    end
                    limit = threshold * (size + 3 * split)
                end
            end
        elseif answer == 0 then
            local old = try('HGET', key, field)
            if old == value then
                repeats = repeats + 1
            elseif type(old) ~= 'string' or #old ~= 7 then
                failure, failed_article = type(old) == 'table' and old.err or 'BADREGISTER not 7 bytes', a
                break
            else
                local old_hi, old_lo = unpack_bytes('>I6B', old)
                local hi, lo = unpack_bytes('>I6B', value)
                if hi < old_hi or (hi == old_hi and lo < old_lo) then
                    superseded[#superseded + 1] = pack('<I2B', index, old_lo % 16)
                else
                    answer = try('HSET', key, field, value)
                    if type(answer) == 'table' then
                        failure, failed_article = answer.err, a
                        break
                    end
                    changes = changes + 1
                    if forgotten then
                        dirty, moved = true, true
                    end
                    local old_kind = old_lo % 16
                    if floor then
                        if old_hi * 16 + math.floor(old_lo / 16) <= floor then
                            old_kind = 0
                        end
                        if hi * 16 + math.floor(lo / 16) <= floor then
                            kind = 0
                        end
                    end
                    if kind ~= old_kind then
                        if old_kind ~= 0 then
                            count(old_kind, -1)
                        end
                        if kind ~= 0 then
                            count(kind, 1)
                        end
                        dirty, moved = true, true
                    end
                end
            end
        else
            failure, failed_article = answer.err, a
            break
        end
        index = index + 1
    end

    if dirty or (renew and head) then
        if moved or renew or not head then
            last_version = last_version + 1
            if last_version < clock() then
                last_version = clock()
            end
            version = last_version
            changed_list[changed_items + 1] = version
            changed_list[changed_items + 2] = names[a]
            changed_items = changed_items + 2
        end
        if not head then
            last_number = number
        end
        local before, its, behind, first = '', '', '', 25
        if #kinds_moved == 0 then
            before = sub(counts, 25, counts_end)
        end
        for i = 1, #kinds_moved do
            local kind = kinds_moved[i]
            if i > 1 then
                counts = before .. its .. behind
                first, counts_end = 1, #counts
            end
            before, its, behind = with(counts, first, counts_end, kind, more[kind])
            more[kind], kinds_moved[i] = nil, nil
        end
        head_list[head_items + 1] = names[a]
        head_list[head_items + 2] = write_head(version, number, voters, level, split, floor, before, its, behind, forgotten and not dirty)
        head_items = head_items + 2
    end
    if failure then
        break
    end
end

if head_items > 0 then
    in_chunks('HSET', heads_key, head_list)
    call('HSET', meta_key, 'version', format('%.0f', last_version), 'articles', format('%d', last_number))
end
if changed_items > 0 then
    in_chunks('ZADD', changed_key, changed_list)
end
if last_number > first_number then
    widen(heads_key, changed_key)
end
if not failure then
    call('HSET', rings_key, ARGV[1],
         ARGV[3] .. pack('<I8I8', quarantined + tonumber(ARGV[4]), lost + tonumber(ARGV[5])) .. ARGV[6])
end
if changed_items > 0 then
    try('SPUBLISH', changed_key, ARGV[8]) -- a hint, on the channel of the same name: a failure here is harmless
end
if failure then
    return {'error', failure, failed_article}
end
return {'ok', news, changes, repeats, table.concat(superseded), split_error}

-- Put before register.lua and position.lua by the build: which store a shard's data belongs to (FORMATS.md 5).

-- Why nothing of store `id` may be applied to a shard; nil if it may be. `found` is the field `store` of the shard's meta. The rest is
-- read only where the field is missing: before the first batch of a shard, and in a Redis whose content was exchanged.
local function store_refusal(found, id, rings_key, store_key)
    if found == id then
        return nil
    end
    if found then
        return string.format('store: its data belongs to %s, not to %s; to count into it run the collector once with --adopt', found, id)
    end
    if redis.pcall('HGET', store_key, 'id') ~= id then
        return 'store: Redis no longer holds ' .. id
    end
    if redis.call('EXISTS', rings_key, string.sub(rings_key, 1, -6) .. 'books') > 0 then
        return 'store: its data names no store; to count into it run the collector once with --adopt'
    end
end

-- Put before register.lua, position.lua and claim.lua by the build: which store a shard's data belongs to (FORMATS.md 5).

-- Why nothing of store `id` may be applied to a shard; nil if it may be. `found` is the field `store` of the shard's meta. Before the first
-- batch, claim.lua sets it in each shard. So where it is missing, the shard has lost its data, or the Redis has another content.
local function store_refusal(found, id)
    if found == id then
        return nil
    end
    if found then
        return string.format('store: its data belongs to %s, not to %s; to count into it run the collector once with --adopt', found, id)
    end
    return 'store: its data is gone, or names no store; to count into it run the collector once with --adopt'
end

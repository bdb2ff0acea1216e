#!lua flags=allow-oom
-- Gives leases back, those that the owner still holds: to whoever asked for them, or to anybody at once. What the owner itself asked
-- for, or is kept for it, it asks for no longer. Of what is paused nothing can be committed from then on.
-- KEYS  the checkpoints
-- ARGV  1 owner   2 for how long, in ms, they are kept for whoever asked; 0 for anybody
-- Reply how many were given back
local owner, kept_ms = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local released = 0
for _, key in ipairs(KEYS) do
  local is = redis.call('HMGET', key, 'owner', 'wanted', 'paused')
  if is[1] == owner then
    local deadline = kept_ms > 0 and is[2] and now + kept_ms or 0
    redis.call('HSET', key, 'owner', '', 'deadline', string.format('%.0f', deadline))
    if deadline == 0 then redis.call('HDEL', key, 'wanted') end
    if is[3] then redis.call('HINCRBY', key, 'epoch', 1) end
    released = released + 1
  elseif is[2] == owner then
    redis.call('HDEL', key, 'wanted')
  end
end
return released

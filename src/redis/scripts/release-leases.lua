#!lua flags=allow-oom
-- Gives leases back, those that the owner still holds, so that another may take them at once.
-- KEYS  the checkpoints
-- ARGV  1 owner
-- Reply how many were given back
local released = 0
for _, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'owner') == ARGV[1] then
    redis.call('HSET', key, 'owner', '', 'deadline', 0)
    released = released + 1
  end
end
return released

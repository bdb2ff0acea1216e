#!lua flags=no-writes
-- Finds the first event that a reactor's groups are not done with: delivered and not acknowledged, or yet to be delivered.
-- KEYS  the logs
-- ARGV  1 the group
-- Reply {its entry id, or ''}, or {} where a group is missing
local function parts(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(sequence)
end

local function lower(a, b)
  if a == '' or b == '' then return a == '' and b or a end
  local ms_a, sequence_a = parts(a)
  local ms_b, sequence_b = parts(b)
  if ms_a ~= ms_b then return ms_a < ms_b and a or b end
  return sequence_a < sequence_b and a or b
end

local function delivered(log)
  if redis.call('EXISTS', log) == 0 then return nil end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', log)) do
    if group[2] == ARGV[1] then
      for i = 1, #group, 2 do
        if group[i] == 'last-delivered-id' then return group[i + 1] end
      end
    end
  end
end

local first = ''
for _, log in ipairs(KEYS) do
  local last = delivered(log)
  if not last then return {} end
  local pending, lowest = unpack(redis.call('XPENDING', log, ARGV[1]))
  if pending > 0 then first = lower(first, lowest) end
  local undelivered = redis.call('XRANGE', log, '(' .. last, '+', 'COUNT', 1)[1]
  if undelivered then first = lower(first, undelivered[1]) end
end
return { first }

#!lua flags=no-writes
-- Reads what is scheduled in a partition, in the order of due time (of the same time: of ids), from behind a place on.
-- KEYS  1 the schedule: ids by due time   2 what is scheduled, by id
-- ARGV  1 'due' for what is due by this server's clock, or 'all'   2 at most so many   3 at most about so many bytes, but one
--       4 due time and 5 id to begin behind; '' to begin at the first
-- Reply {ms until the next one is due or -1 where there is none, id, due ms, payload or '', id, due ms, payload or '', …}
--       With 'due' the first is 0 where more may be due right now. A payload is '' where somebody else removed it.
local mode, count, bytes_left = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local after_due, after_id = tonumber(ARGV[4]), ARGV[5]
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- As Redis orders members; Lua's own comparison follows the locale.
local function is_behind(a, b)
  for i = 1, math.min(#a, #b) do
    local left, right = string.byte(a, i), string.byte(b, i)
    if left ~= right then return left > right end
  end
  return #a > #b
end

-- The rank of the first one behind the given place, which may be gone itself: so it is found by halving.
local function first_rank()
  if not after_due then return 0 end
  local low, high = 0, call('ZCARD', KEYS[1])
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = call('ZRANGE', KEYS[1], middle, middle, 'WITHSCORES')
    local due = tonumber(found[2])
    if due > after_due or (due == after_due and is_behind(found[1], after_id)) then high = middle else low = middle + 1 end
  end
  return low
end

local first = first_rank()
-- One more than is asked for tells when the next one is due.
local found = call('ZRANGE', KEYS[1], first, first + count, 'WITHSCORES')
local reply = { -1 }
for i = 1, #found, 2 do
  local wait = math.max(0, tonumber(found[i + 1]) - now)
  if (i > 2 * count or bytes_left <= 0) or (mode == 'due' and wait > 0) then
    reply[1] = math.min(wait, 2 ^ 31)
    break
  end
  local payload = call('HGET', KEYS[2], found[i]) or ''
  bytes_left = bytes_left - #payload
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = found[i], found[i + 1], payload
end
return reply

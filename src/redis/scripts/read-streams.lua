#!lua flags=no-writes
-- Reads events of several streams of one partition through their indexes.
-- KEYS  for each stream: its index, the log of its category
-- ARGV  for each stream: start and stop, as LRANGE takes them
-- Reply for each stream {length of the index, entries {place's entry id, fields}}; a deleted entry is missing
local EPOCH, PER_MS = 1735689600000, 4096

local function entry_id(place)
  return string.format('%.0f-%d', math.floor(place / PER_MS) + EPOCH, place % PER_MS)
end

local function entries_at(log, places)
  local first, last = tonumber(places[1]), tonumber(places[#places])
  if not first then return {} end
  -- Events that were appended together stand side by side: one range instead of a look-up for each.
  if last - first == #places - 1 then return redis.call('XRANGE', log, entry_id(first), entry_id(last)) end
  local entries = {}
  for _, place in ipairs(places) do
    local id = entry_id(tonumber(place))
    local found = redis.call('XRANGE', log, id, id)
    if found[1] then entries[#entries + 1] = found[1] end
  end
  return entries
end

local reply = {}
for i = 1, #KEYS, 2 do
  local places = redis.call('LRANGE', KEYS[i], ARGV[i], ARGV[i + 1])
  reply[#reply + 1] = { redis.call('LLEN', KEYS[i]), entries_at(KEYS[i + 1], places) }
end
return reply

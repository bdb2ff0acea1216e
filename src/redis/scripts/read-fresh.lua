#!lua flags=no-writes
-- Reads a stored document or state together with the events that came after it, of one moment.
-- KEYS  1 the document, then for each stream: its index, the log of its category
-- ARGV  1 how many events of each stream at most   2 a result's key number in KEYS, or 0   3 its field where that is a hash, else ''
-- Reply {document as HGETALL, the result or nil, for each stream {length, how many of its events the document holds, entries after that}}
--       The document holds `:version` events where it has that field, else those up to its `:position`. Where it has the field there is one
--       stream; if another event than the one at `:position` is number `:version` there, or none, the document is told to be empty.
local EPOCH, PER_MS, CHUNK = 1735689600000, 4096, 64
local most, result = tonumber(ARGV[1]), tonumber(ARGV[2])
local document = redis.call('HGETALL', KEYS[1])
local version, place = nil, -1
for i = 1, #document, 2 do
  if document[i] == ':version' then version = tonumber(document[i + 1]) end
  if document[i] == ':position' then
    local ms, sequence = string.match(document[i + 1], '^(%d+)-(%d+)')
    place = (ms - EPOCH) * PER_MS + sequence
  end
end

-- A state that was stored when a failover lost events may hold some that are gone: nobody is to decide on it.
if version and tonumber(redis.call('LINDEX', KEYS[2], version - 1) or -2) ~= place then
  document, version = {}, 0
end

-- How many of a stream's first events stand at or before the document's place, found from the end: the tail is short.
local function count_held(index, length)
  local held = length
  while held > 0 do
    local chunk = redis.call('LRANGE', index, math.max(0, held - CHUNK), held - 1)
    for i = #chunk, 1, -1 do
      if tonumber(chunk[i]) <= place then return held end
      held = held - 1
    end
  end
  return held
end

local function entry_id(at)
  return string.format('%.0f-%d', math.floor(at / PER_MS) + EPOCH, at % PER_MS)
end

local function read_result()
  if result == 0 then return false end
  return ARGV[3] == '' and redis.call('GET', KEYS[result]) or ARGV[3] ~= '' and redis.call('HGET', KEYS[result], ARGV[3])
end

local reply = { document, read_result() or false }
for i = 2, (result > 0 and #KEYS - 1 or #KEYS), 2 do
  local index, log, entries = KEYS[i], KEYS[i + 1], {}
  local length = redis.call('LLEN', index)
  local held = version or count_held(index, length)
  for _, at in ipairs(redis.call('LRANGE', index, held, held + most - 1)) do
    local id = entry_id(tonumber(at))
    local found = redis.call('XRANGE', log, id, id)
    if found[1] then entries[#entries + 1] = found[1] end
  end
  reply[#reply + 1] = { length, held, entries }
end
return reply

#!lua
-- Removes the tombstone of a deleted document, and notes up to where it had been folded: a worker that was paused since may still
-- read the events before, and must not fold them into a new document.
-- KEYS  1 the document   2 how far removed documents were folded, by partition
-- ARGV  1 the revision that was read   2 the generation that was folded   3 the document's key as the projection has it
-- Reply 1, or 0 when it has another one, is no tombstone, or the projection was rewound: then nobody has folded what it holds
if (redis.call('HGET', KEYS[2], 'generation') or '0') ~= ARGV[2] then return 0 end
local fields = redis.call('HGETALL', KEYS[1])
local revision, is_deleted, positions = '0', false, {}
for i = 1, #fields, 2 do
  local partition = string.match(fields[i], '^:position:(%d+)$')
  if partition then positions[partition] = fields[i + 1] end
  if fields[i] == ':revision' then revision = fields[i + 1] end
  if fields[i] == ':deleted' then is_deleted = true end
end
if revision ~= ARGV[1] or not is_deleted then return 0 end

local function is_later(a, b)
  local a_ms, a_sequence = string.match(a, '^(%d+)-(%d+)')
  local b_ms, b_sequence = string.match(b, '^(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) > tonumber(b_ms) end
  return tonumber(a_sequence) > tonumber(b_sequence)
end

for partition, position in pairs(positions) do
  local noted = redis.call('HGET', KEYS[2], partition)
  if not noted or is_later(position, noted) then redis.call('HSET', KEYS[2], partition, position) end
end
redis.call('DEL', KEYS[1])
redis.call('HDEL', KEYS[2], 'tombstone:' .. ARGV[3])
return 1

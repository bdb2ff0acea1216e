#!lua
-- Stores one document of a projection keyed across partitions, if nobody stored it since it was read.
-- KEYS  1 the document   2 how far removed documents were folded
-- ARGV  1 the revision that was read (0: there was none)   2 the partition whose events were folded   3 the last one's position
--       4 1 to leave a tombstone, else 0   5 <n> 6 <m> n×{field, value} m×{field to remove}
-- Reply 1, or 0 when it has another revision
-- A tombstone keeps the positions, so that events folded before the deletion are not folded again.
local document = KEYS[1]
if (redis.call('HGET', document, ':revision') or '0') ~= ARGV[1] then return 0 end
local sets, removes = tonumber(ARGV[5]), tonumber(ARGV[6])
for i = 7, 6 + 2 * sets, 2 do redis.call('HSET', document, ARGV[i], ARGV[i + 1]) end
for i = 7 + 2 * sets, 6 + 2 * sets + removes do redis.call('HDEL', document, ARGV[i]) end
if ARGV[4] == '1' then
  redis.call('HSET', document, ':deleted', 1)
else
  redis.call('HDEL', document, ':deleted')
end
redis.call('HINCRBY', document, ':revision', 1)
redis.call('HSET', document, ':position:' .. ARGV[2], ARGV[3])
return 1

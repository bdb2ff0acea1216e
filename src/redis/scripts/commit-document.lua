#!lua
-- Stores one document of a projection keyed across partitions, if nobody stored or removed it since it was read.
-- KEYS  1 the document   2 how far removed documents were folded, by partition
-- ARGV  1 the revision that was read ('0' where there was none)   2 what KEYS[2] said then of the partition, or ''
--       3 the partition whose events were folded   4 the last one's position   5 1 to leave a tombstone, else 0
--       6 <n> 7 <m> n×{field, value} m×{field to remove}
-- Reply 1, or 0 when it has another revision
-- A tombstone keeps the positions, so that events folded before the deletion are not folded again.
local document, revision = KEYS[1], redis.call('HGET', KEYS[1], ':revision') or '0'
if revision ~= ARGV[1] then return 0 end
if revision == '0' and (redis.call('HGET', KEYS[2], ARGV[3]) or '') ~= ARGV[2] then return 0 end
local sets, removes = tonumber(ARGV[6]), tonumber(ARGV[7])
for i = 8, 7 + 2 * sets, 2 do redis.call('HSET', document, ARGV[i], ARGV[i + 1]) end
for i = 8 + 2 * sets, 7 + 2 * sets + removes do redis.call('HDEL', document, ARGV[i]) end
if ARGV[5] == '1' then
  redis.call('HSET', document, ':deleted', 1)
else
  redis.call('HDEL', document, ':deleted')
end
redis.call('HINCRBY', document, ':revision', 1)
redis.call('HSET', document, ':position:' .. ARGV[3], ARGV[4])
return 1

#!lua
-- Stores one document of a projection keyed across partitions, if nobody stored or removed it since it was read.
-- KEYS  1 the document   2 how far removed documents were folded, by partition; the generation; the tombstones that are left
-- ARGV  1 the revision that was read ('0' where there was none)   2 what KEYS[2] said then of the partition, or ''
--       3 the partition whose events were folded   4 the last one's position   5 1 to leave a tombstone, else 0
--       6 the generation that was folded   7 the document's key as the projection has it
--       8 <n> 9 <m> n×{field, value} m×{field to remove}
-- Reply 1, 0 when it has another revision, or -1 when the projection was rewound, or not, as far as this partition knows
-- A tombstone keeps the positions, so that events folded before the deletion are not folded again. KEYS[2] lists it, for whoever removes it.
if (redis.call('HGET', KEYS[2], 'generation') or '0') ~= ARGV[6] then return -1 end
local document, revision = KEYS[1], redis.call('HGET', KEYS[1], ':revision') or '0'
if revision ~= ARGV[1] then return 0 end
if revision == '0' and (redis.call('HGET', KEYS[2], ARGV[3]) or '') ~= ARGV[2] then return 0 end
local sets, removes = tonumber(ARGV[8]), tonumber(ARGV[9])
for i = 10, 9 + 2 * sets, 2 do redis.call('HSET', document, ARGV[i], ARGV[i + 1]) end
for i = 10 + 2 * sets, 9 + 2 * sets + removes do redis.call('HDEL', document, ARGV[i]) end
if ARGV[5] == '1' then
  redis.call('HSET', document, ':deleted', 1)
  redis.call('HSET', KEYS[2], 'tombstone:' .. ARGV[7], 1)
elseif redis.call('HDEL', document, ':deleted') == 1 then
  redis.call('HDEL', KEYS[2], 'tombstone:' .. ARGV[7])
end
redis.call('HINCRBY', document, ':revision', 1)
redis.call('HSET', document, ':position:' .. ARGV[3], ARGV[4])
return 1

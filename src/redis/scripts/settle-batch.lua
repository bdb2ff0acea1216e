#!lua flags=allow-oom
-- Finds out what became of a batch, and makes sure that it never runs later where it did not run so far: a sending of it may
-- still lie in a socket's buffer.
-- KEYS  1 the writer's record
-- ARGV  1 the batch's sequence
-- Reply {'done', outcome}, {'never'} (it did not run and never will), or {'unknown'} (the record is gone)
local slot = tostring(ARGV[1] % 16)
local record = redis.call('HMGET', KEYS[1], 'registered', slot)
if not record[1] then return { 'unknown' } end
local done, outcome = string.match(record[2] or '', '^(%d+) (.*)$')
if done == ARGV[1] then return outcome == 'never' and { 'never' } or { 'done', outcome } end
if done and tonumber(done) > tonumber(ARGV[1]) then return { 'unknown' } end
redis.call('HSET', KEYS[1], slot, ARGV[1] .. ' never')
return { 'never' }

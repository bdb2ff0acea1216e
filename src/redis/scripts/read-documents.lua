#!lua flags=no-writes
-- Reads documents whole, many at once.
-- KEYS  the documents
-- ARGV  none
-- Reply for each key its fields and values in turn; none where there is no document
local documents = {}
for i, key in ipairs(KEYS) do documents[i] = redis.call('HGETALL', key) end
return documents

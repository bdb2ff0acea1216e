#!lua
-- Appends a batch: many appends of one writer to one partition, each with its own expectation and its own outcome.
-- Run again with the same sequence it writes nothing: the second run is answered with the first one's outcome.
--
-- KEYS  1 the writer's record   2 the head   3 the set of categories   4… whatever ARGV names by its number in KEYS.
--       The stream indexes of plain appends come from KEYS[4] on, in the order of those appends.
-- ARGV  1 the batch's sequence   then one after the other:
--       'log' <log key> <bytes before the stream's id in its index's key> <category>
--           where the plain appends that follow go
--       <expected> <type> <data>
--           a plain append: one event without extras. expected: a version, 'any', 'exists', or <version>@<place of its event>: a failover
--           may have put another event at the same version
--       'multi' <result key or 0> <digest> <ttl ms, or '@' and a field> <n> n×{mark key, field, expected, new}
--               <n> n×{guarded index key, expected}
--               <n> n×{index key, log key, bytes before the id, category, expected, <m> m×{type, data, <k> k×{name, value}}}
--               <n> n×{document key, <f> <r> f×{field, value} r×{field to remove}, or -1 to delete it}
--               <n> n×{sorted set key, hash key, id, due in ms or '-', payload}
--           everything else: several events or streams, extras (event-id, metadata, at), guards, marks, an idempotency key, documents
--           that change with the events, and what is scheduled along ('-' takes it out of the schedule).
--           A mark is a field of a hash that must be as expected ('' for none, '*' for any) and is set with the append ('' leaves it,
--           '-' removes it). A result is kept with a time to live, or in a field of a hash until that is removed.
--           A stream that comes twice has to expect 'any'. No stream at all is fine.
-- Reply {outcome, missed…}, or {'unknown'} when the writer has no record, or one that has forgotten this sequence; nothing was run then.
--       outcome: '<place of the first event> <exception> …'. Append number i (from 0) without an exception succeeded, at the place
--       behind the one before it and at the version that follows from its expectation. Exceptions:
--           i=v<version>,…   succeeded, with these versions of its streams      i=p<place>  its first event is here
--           i=c<s>:<actual>:<index key>:<log key>:<expected>   conflict on its stream s (from 0)
--           i=g<s>:<actual>  conflict on its guard s        i=m<s>:<actual>  its mark s is not as expected
--           i=r<result>      repeated: '<versions>:<first place>:<events>' as the first time, and ':<ids>' where it scheduled something
--           i=k              the idempotency key came with another digest        i=e<message>  failed whole
--       missed: for each c in order, the entries after the expected version, oldest first, at most 100
local SLOTS, MISSED_MAX, EPOCH, PER_MS, LATE_MS = 16, 100, 1735689600000, 4096, 1000
local sub, format, floor, find, match = string.sub, string.format, math.floor, string.find, string.match
local call, pcall = redis.call, redis.pcall
local KEYS, ARGV, type, tonumber = KEYS, ARGV, type, tonumber -- locals are found faster than globals

-- To make a text of a number costs a seventh of an append, and of ids that follow on each other only the last digit changes.
local DIGITS = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' }
local ten, ten_text
local function entry_id(place)
  local sequence = place % PER_MS
  local digit = sequence % 10
  if place - digit ~= ten then
    ten = place - digit
    ten_text = format('%.0f-', (place - sequence) / PER_MS + EPOCH) .. (sequence > 9 and (sequence - digit) / 10 or '')
  end
  return ten_text .. DIGITS[digit]
end

-- What few batches need is made only inside what needs it: making a function takes its time too, which a lone append would feel.
local function with_missed(outcome)
  -- What a conflict's caller has not seen. Entries never change, so a repeated batch reads the same ones.
  local function missed_entries(index, log, expected, actual)
    local entries = {}
    if actual <= expected then return entries end
    for _, place in ipairs(call('LRANGE', index, expected, math.min(actual, expected + MISSED_MAX) - 1)) do
      local id = entry_id(tonumber(place))
      local found = call('XRANGE', log, id, id)
      if found[1] then entries[#entries + 1] = found[1] end
    end
    return entries
  end

  local reply = { outcome }
  for actual, index, log, expected in string.gmatch(outcome, '=c%d+:(%d+):(%d+):(%d+):(%d+)') do
    reply[#reply + 1] = missed_entries(KEYS[tonumber(index)], KEYS[tonumber(log)], tonumber(expected), tonumber(actual))
  end
  return reply
end

local slot = tostring(ARGV[1] % SLOTS)
local record = call('HMGET', KEYS[1], 'registered', slot)
if not record[1] then return { 'unknown' } end
if record[2] then
  local done, outcome = match(record[2], '^(%d+) (.*)$')
  if done == ARGV[1] then return outcome == 'never' and { 'unknown' } or with_missed(outcome) end
  if tonumber(done) > tonumber(ARGV[1]) then return { 'unknown' } end
end

local at = 2

local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local head = tonumber(call('GET', KEYS[2]) or -1)
local first = math.max((now - EPOCH) * PER_MS, head + 1)
local place = first -- of the next event
local expected_place = first -- where the client expects the next append
local late -- the time, where places lie after it: the clock stepped back, or an entry of somebody else's does
local function compare_clock()
  late = floor(place / PER_MS) + EPOCH - now > LATE_MS and format('%.0f', now)
end
compare_clock()
local exceptions = {}
local number = 0 -- of the append

local function except(what) exceptions[#exceptions + 1] = number .. '=' .. what end
local function failed(message) except('e' .. string.gsub(message, '%s', '\31')) end

-- A category is registered with the first event of each of its streams, for one of them is its own first. What is wrong, or nil.
local function register(category)
  local reply = pcall('SADD', KEYS[3], category)
  return type(reply) == 'table' and reply.err or nil
end

-- XADD where the log ends at or behind `place`, for somebody else wrote there: `place` moves behind that entry.
local function add_behind(log, ...)
  local before = place
  local last = call('XINFO', 'STREAM', log)
  for i = 1, #last, 2 do
    if last[i] == 'last-generated-id' then place = (match(last[i + 1], '^%d+') - EPOCH + 1) * PER_MS end
  end
  if place >= 2 ^ 53 then
    place = before
    return { err = 'an entry of ' .. log .. ' has an id beyond all times' }
  end
  compare_clock()
  local fields, has_time = { ... }, false
  for i = 9, #fields, 2 do has_time = has_time or fields[i] == 'at' end
  if late and not has_time then
    fields[#fields + 1], fields[#fields + 2] = 'at', late
  end
  return pcall('XADD', log, entry_id(place), unpack(fields))
end

-- XADD at `place`, or behind somebody else's entry. The place, or nil and what is wrong.
local function add(log, ...)
  local reply = pcall('XADD', log, entry_id(place), ...)
  if type(reply) == 'table' and reply.err and find(reply.err, 'equal or smaller', 1, true) then reply = add_behind(log, ...) end
  if type(reply) == 'table' and reply.err then return nil, reply.err end
  place = place + 1
  return place - 1
end

local function is_met(expected, actual, index)
  if expected == 'any' then return true end
  if expected == 'exists' then return actual > 0 end
  local version, last = match(expected, '^(%d+)@(%d+)$')
  if version then return actual == tonumber(version) and tonumber(call('LINDEX', index, actual - 1)) == tonumber(last) end
  return actual == tonumber(expected)
end

local function conflict(stream, actual, index, log, expected)
  except('c' .. stream .. ':' .. actual .. ':' .. index .. ':' .. log .. ':' .. (match(expected, '^%d+') or actual))
end

-- RPUSH comes first, for its reply is the version; what it did is undone where the expectation is not met.
local function append_plain(index_key, log_key, id_from, category, expected, event_type, data)
  local index, log = KEYS[index_key], KEYS[log_key]
  local version = pcall('RPUSH', index, place)
  if type(version) == 'table' then return failed(version.err) end
  if version - 1 ~= tonumber(expected) and not is_met(expected, version - 1, index) then
    call('RPOP', index)
    return conflict(0, version - 1, index_key, log_key, expected)
  end
  local added
  local wrong = version == 1 and register(category) or nil
  if not wrong and late then
    added, wrong = add(log, 'type', event_type, 'id', sub(index, id_from), 'version', version, 'data', data, 'at', late)
  elseif not wrong then
    -- As `add` does, without what it costs to hand over so many values: this is what nearly all appends are.
    local reply = pcall('XADD', log, entry_id(place), 'type', event_type, 'id', sub(index, id_from), 'version', version, 'data', data)
    if type(reply) == 'string' then
      added = place
      place = place + 1
    else
      added, wrong = add(log, 'type', event_type, 'id', sub(index, id_from), 'version', version, 'data', data)
    end
  end
  if not added then
    call('RPOP', index)
    return failed(wrong)
  end
  if added ~= expected_place then
    call('LSET', index, -1, added)
    except('p' .. format('%.0f', added))
  end
  if not tonumber(expected) then except('v' .. version) end
  expected_place = place
end

-- What reads a 'multi' from ARGV, and what appends it.
local function multi_functions()
  local function extras_at(i, count, at_place)
    local extras, has_time = {}, false
    for j = i, i + 2 * count - 1, 2 do
      local name, value = ARGV[j], ARGV[j + 1]
      if name == 'at' then -- never after the place that it stands at, or reading by time would pass it over
        has_time, value = true, format('%.0f', math.min(value, floor(at_place / PER_MS) + EPOCH))
      end
      extras[#extras + 1], extras[#extras + 2] = name, value
    end
    if late and not has_time then
      extras[#extras + 1], extras[#extras + 2] = 'at', late
    end
    return extras
  end

  -- Reads ARGV of a 'multi' from i on. The append as a table, and where the next one starts.
  local function read_multi(i)
    local multi = { result = tonumber(ARGV[i]), digest = ARGV[i + 1], ttl = ARGV[i + 2], marks = {}, guards = {}, streams = {}, documents = {}, schedule = {} }
    multi.field = match(multi.ttl, '^@(.*)$')
    i = i + 4
    for m = 1, ARGV[i - 1] do
      multi.marks[m] = { key = KEYS[tonumber(ARGV[i])], field = ARGV[i + 1], expected = ARGV[i + 2], new = ARGV[i + 3] }
      i = i + 4
    end
    i = i + 1
    for g = 1, ARGV[i - 1] do
      multi.guards[g] = { index = KEYS[tonumber(ARGV[i])], expected = ARGV[i + 1] }
      i = i + 2
    end
    i = i + 1
    for s = 1, ARGV[i - 1] do
      local stream = { index = tonumber(ARGV[i]), log = tonumber(ARGV[i + 1]), id_from = ARGV[i + 2] + 1, events = {} }
      stream.category, stream.expected = ARGV[i + 3], ARGV[i + 4]
      i = i + 6
      for e = 1, ARGV[i - 1] do
        stream.events[e] = i
        i = i + 3 + 2 * ARGV[i + 2]
      end
      multi.streams[s] = stream
    end
    i = i + 1
    for d = 1, ARGV[i - 1] do
      local document = { key = KEYS[tonumber(ARGV[i])], sets = tonumber(ARGV[i + 1]), at = i + 3 }
      document.removes = document.sets < 0 and 0 or tonumber(ARGV[i + 2])
      i = document.sets < 0 and i + 2 or i + 3 + 2 * document.sets + document.removes
      multi.documents[d] = document
    end
    i = i + 1
    for e = 1, ARGV[i - 1] do
      multi.schedule[e] = { due_key = KEYS[tonumber(ARGV[i])], key = KEYS[tonumber(ARGV[i + 1])], id = ARGV[i + 2], due = ARGV[i + 3], payload = ARGV[i + 4] }
      i = i + 5
    end
    return multi, i
  end

  -- Whether nothing stands against it; otherwise what does was noted.
  local function may_append(multi, lengths)
    for m, mark in ipairs(multi.marks) do
      local actual = pcall('HGET', mark.key, mark.field) or ''
      if type(actual) == 'table' then return failed(actual.err) end
      if actual ~= mark.expected and (mark.expected ~= '*' or actual == '') then return except('m' .. m - 1 .. ':' .. actual) end
    end
    -- What is written behind the events must not fail then.
    for _, document in ipairs(multi.documents) do
      local length = pcall('HLEN', document.key)
      if type(length) == 'table' then return failed(length.err) end
    end
    for _, entry in ipairs(multi.schedule) do
      local count, length = pcall('ZCARD', entry.due_key), pcall('HLEN', entry.key)
      if type(count) == 'table' or type(length) == 'table' then return failed((type(count) == 'table' and count or length).err) end
    end
    for g, guard in ipairs(multi.guards) do
      local actual = pcall('LLEN', guard.index)
      if type(actual) == 'table' then return failed(actual.err) end
      if not is_met(guard.expected, actual, guard.index) then return except('g' .. g - 1 .. ':' .. actual) end
    end
    for s, stream in ipairs(multi.streams) do
      local actual = pcall('LLEN', KEYS[stream.index])
      if type(actual) == 'table' then return failed(actual.err) end
      if not is_met(stream.expected, actual, KEYS[stream.index]) then return conflict(s - 1, actual, stream.index, stream.log, stream.expected) end
      lengths[KEYS[stream.index]] = actual
    end
    return true
  end

  -- Writes one stream's events. What was written comes back as an undo, also where one of them failed.
  local function write_stream(stream, length)
    local index, log, places = KEYS[stream.index], KEYS[stream.log], {}
    local undo = { log = log, index = index, places = places, pushed = 0 }
    local id = sub(index, stream.id_from)
    local unregistered = length == 0 and #stream.events > 0 and register(stream.category)
    if unregistered then return undo, unregistered end
    for e, i in ipairs(stream.events) do
      local extras = extras_at(i + 3, ARGV[i + 2], place)
      local added, wrong = add(log, 'type', ARGV[i], 'id', id, 'version', length + e, 'data', ARGV[i + 1], unpack(extras))
      if not added then return undo, wrong end
      places[e] = added
    end
    if #places > 0 then
      call('RPUSH', index, unpack(places))
      undo.pushed = #places
    end
    return undo
  end

  local function take_back(undos)
    for _, undo in ipairs(undos) do
      for _, written in ipairs(undo.places) do call('XDEL', undo.log, entry_id(written)) end
      if undo.pushed > 0 then call('LTRIM', undo.index, 0, -undo.pushed - 1) end
    end
  end

  local FIELDS_AT_ONCE = 3000 -- unpack ends at about 8,000
  local function in_parts(command, key, from, to, step)
    for j = from, to, FIELDS_AT_ONCE * step do call(command, key, unpack(ARGV, j, math.min(to, j + FIELDS_AT_ONCE * step - 1))) end
  end

  -- What changes with the events: nothing here can fail any more.
  local function write_along(multi)
    for _, mark in ipairs(multi.marks) do
      if mark.new == '-' then
        call('HDEL', mark.key, mark.field)
      elseif mark.new ~= '' then
        call('HSET', mark.key, mark.field, mark.new)
      end
    end
    for _, document in ipairs(multi.documents) do
      local fields_end = document.at + 2 * document.sets - 1
      if document.sets < 0 then call('DEL', document.key) end
      in_parts('HSET', document.key, document.at, fields_end, 2)
      in_parts('HDEL', document.key, fields_end + 1, fields_end + document.removes, 1)
    end
    for _, entry in ipairs(multi.schedule) do
      if entry.due == '-' then
        call('ZREM', entry.due_key, entry.id)
        call('HDEL', entry.key, entry.id)
      else
        call('ZADD', entry.due_key, entry.due, entry.id)
        call('HSET', entry.key, entry.id, entry.payload)
      end
    end
  end

  -- A request that comes again is told the ids of the first time.
  local function scheduled_ids(multi)
    local ids = {}
    for _, entry in ipairs(multi.schedule) do
      if entry.due ~= '-' then ids[#ids + 1] = entry.id end
    end
    return #ids > 0 and ':' .. table.concat(ids, ',') or ''
  end

  local function keep_result(multi, result)
    if multi.field then return call('HSET', KEYS[multi.result], multi.field, multi.digest .. ' ' .. result) end
    call('SET', KEYS[multi.result], multi.digest .. ' ' .. result, 'PX', multi.ttl)
  end

  local function append_multi(multi)
    if multi.result > 0 then
      local earlier
      if multi.field then
        earlier = pcall('HGET', KEYS[multi.result], multi.field)
      else
        earlier = pcall('GET', KEYS[multi.result])
      end
      if type(earlier) == 'table' then return failed(earlier.err) end
      if earlier then
        local digest, result = match(earlier, '^(%S*) (.*)$')
        return except(digest == multi.digest and 'r' .. result or 'k')
      end
    end
    local lengths, undos, versions, events = {}, {}, {}, 0
    if not may_append(multi, lengths) then return end
    local starts_at
    for s, stream in ipairs(multi.streams) do
      local undo, wrong = write_stream(stream, lengths[KEYS[stream.index]])
      undos[s] = undo
      if wrong then
        take_back(undos)
        expected_place = -1 -- places were used up: the next append says where it is
        return failed(wrong)
      end
      starts_at = starts_at or undo.places[1]
      events = events + #undo.places
      lengths[KEYS[stream.index]] = lengths[KEYS[stream.index]] + #undo.places
      versions[s] = lengths[KEYS[stream.index]]
    end
    write_along(multi)
    local told = table.concat(versions, ',')
    if multi.result > 0 then keep_result(multi, told .. ':' .. format('%.0f', place - events) .. ':' .. events .. scheduled_ids(multi)) end
    except('v' .. told)
    -- Told so that with the number of events it gives the last one's place, also where somebody else's entry stood between them.
    if not starts_at then return end
    if place - events ~= expected_place then except('p' .. format('%.0f', place - events)) end
    expected_place = place
  end

  return read_multi, append_multi
end

local log_key, id_from, category, read_multi, append_multi
local plain_key = 4
while ARGV[at] do
  local word = ARGV[at]
  if word == 'log' then
    log_key, id_from, category = tonumber(ARGV[at + 1]), ARGV[at + 2] + 1, ARGV[at + 3]
    at = at + 4
  elseif word == 'multi' then
    if not read_multi then read_multi, append_multi = multi_functions() end
    local multi
    multi, at = read_multi(at + 1)
    append_multi(multi)
    number = number + 1
  else
    append_plain(plain_key, log_key, id_from, category, word, ARGV[at + 1], ARGV[at + 2])
    plain_key, at, number = plain_key + 1, at + 3, number + 1
  end
end

if place > first then call('SET', KEYS[2], format('%.0f', place - 1)) end
local outcome = format('%.0f', first)
if #exceptions > 0 then outcome = outcome .. ' ' .. table.concat(exceptions, ' ') end
call('HSET', KEYS[1], slot, ARGV[1] .. ' ' .. outcome)
return #exceptions > 0 and with_missed(outcome) or { outcome }

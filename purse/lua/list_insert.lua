-- Insert an element before an index, as Python's list.insert does: indices beyond an end clamp to it.
--
-- LINSERT looks for a value, not for an index, so the element at the index is marked during this script. No other
-- client can see the mark.
--
-- KEYS[1]  list key
-- ARGV[1]  index, negative counts from the end
-- ARGV[2]  encoded element
-- ARGV[3]  a mark that no element of the list equals: random bytes
-- ARGV[4]  the list's maximum length, "0" = none
-- ARGV[5]  TTL policy, see renew.lua
--
-- Returns the new length, or -1 if the list is full and nothing was inserted. O(n).
--#include renew
local key, index, element, mark = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3]
local size = redis.call('LLEN', key)
local most = tonumber(ARGV[4])
if most > 0 and size >= most then
  return -1
end
local planned = plan(key, ARGV[5], {})
if index < 0 then
  index = math.max(size + index, 0)
end
if index >= size then
  redis.call('RPUSH', key, element)
elseif index == 0 then
  redis.call('LPUSH', key, element)
else
  redis.call('LINSERT', key, 'BEFORE', mark, element) -- finds no mark: fails here if it is forbidden
  local marked = redis.call('LINDEX', key, index)
  redis.call('LSET', key, index, mark)
  redis.call('LINSERT', key, 'BEFORE', mark, element)
  redis.call('LSET', key, index + 1, marked)
end
renew(key, planned)
return size + 1

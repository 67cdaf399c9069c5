-- Put elements into a queue that is a list, if there is room for all of them.
--
-- KEYS[1]  list key
-- ARGV[1]  "LPUSH" or "RPUSH"
-- ARGV[2]  how many elements the queue may hold
-- ARGV[3]  TTL policy, see renew.lua
-- ARGV[4]  the first encoded element, and so on
--
-- Returns the new length, or false (nil) if they do not fit and nothing was put. O(n) for n elements.
--#include renew
local key, push, size = KEYS[1], ARGV[1], redis.call('LLEN', KEYS[1])
if size + #ARGV - 3 > tonumber(ARGV[2]) then
  return false
end
local planned = plan(key, ARGV[3], {})
for i = 4, #ARGV, 500 do
  size = redis.call(push, key, unpack(ARGV, i, math.min(i + 499, #ARGV)))
end
renew(key, planned)
return size

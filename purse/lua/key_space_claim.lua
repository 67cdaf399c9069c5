-- Before a value is made: read once more. Without a value leave a marker, see collections/_key_space_get_or_create.py.
--
-- KEYS[1]  the entry
-- KEYS[2]  its marker
-- ARGV[1]  a unique token of 16 bytes
-- ARGV[2]  time to live of the marker in milliseconds
-- ARGV[3]  keys of the database below which a marker need not outlive the making of its value
-- ARGV[4]  TTL policy of a read, see renew.lua, applied where there is a value
--
-- Returns {the value}, or {nil, the token of the marker}: ARGV[1], or the token of a caller that makes the value
-- already, followed by "+" if the marker outlives the making, else "-". A marker that was taken over has "!" behind
-- that. O(1).
--#include renew
local stored = redis.call('GET', KEYS[1])
if stored then
  renew(KEYS[1], plan(KEYS[1], ARGV[4], {}))
  return {stored}
end
local token = string.match(redis.call('GET', KEYS[2]) or '', '^................[+-]') -- else it is not a marker
if token then
  redis.call('SET', KEYS[2], token .. '!', 'PX', ARGV[2])
else
  local size = redis.pcall('DBSIZE')
  local small = type(size) == 'number' and size < tonumber(ARGV[3])
  token = ARGV[1] .. (small and '-' or '+')
  redis.call('SET', KEYS[2], token, 'PX', ARGV[2])
end
return {false, token}

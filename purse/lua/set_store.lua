-- Store the union, intersection or difference of sets.
--
-- KEYS[1]    the set that the result replaces
-- KEYS[i]    the sets, the first of them KEYS[2]
-- ARGV[1]    SUNIONSTORE, SINTERSTORE or SDIFFSTORE
-- ARGV[i+1]  TTL policy of KEYS[i], see renew.lua: of a write for KEYS[1], of a read for the others
--
-- If the result replaces the first set (KEYS[1] is KEYS[2]), it keeps the time that the set has left, as with any other
-- write. The command alone would remove that time. Any other result is a new key.
--
-- Returns the number of members of the result. As the command: O(n) for all members together, O(n * m) for the
-- smallest of m sets in an intersection.
--#include renew
redis.call('SCARD', KEYS[1]) -- the command would replace a key of any type
local planned = {}
for i, key in ipairs(KEYS) do
  planned[i] = plan(key, ARGV[i + 1], {})
end
local left = KEYS[1] == KEYS[2] and redis.call('PTTL', KEYS[1]) or -1
if left >= 0 then
  permitted('PEXPIRE', KEYS[1], left)
end
local size = redis.call(ARGV[1], unpack(KEYS))
if left >= 0 then
  redis.call('PEXPIRE', KEYS[1], math.max(left, 1)) -- zero would delete it
end
for i, key in ipairs(KEYS) do
  renew(key, planned[i])
end
return size

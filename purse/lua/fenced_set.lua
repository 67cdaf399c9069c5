-- Set a string, unless a later holder of the lock has done so.
--
-- KEYS[1]  the string
-- KEYS[2]  fence: a decimal integer, the token of the latest holder that wrote
-- ARGV[1]  value
-- ARGV[2]  token of the holder that writes
--
-- Returns 1, or 0 if the fence is above the token. Then nothing is changed, and neither is a key that holds something
-- else (an error). O(1).
--#include foreign
--#include kept
--#include whole
--#include kept_token
redis.call('STRLEN', KEYS[1]) -- SET would replace a key of any type
local fence, fault = kept_token(KEYS[2])
if fault then
  return fault
end
if fence and whole(fence) > tonumber(ARGV[2]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2])
return 1

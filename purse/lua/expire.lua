-- Set the time to live that a plain write or read owes; goes out behind it, in the same MULTI.
--
-- The type is checked because a command that failed inside EXEC does not stop the next one: a
-- write refused with WRONGTYPE must not put a clock on somebody else's key.
--
-- KEYS[1]  key
-- ARGV[1]  the type that the key must have ("hash", "list", ...)
-- ARGV[2]  policy, see renew.lua; of scope "item" it concerns every field of the hash
--
-- Returns 1 if the policy was applied, 0 if the key is missing or of another type. O(1), for items O(n).
--#include renew
if redis.call('TYPE', KEYS[1]).ok ~= ARGV[1] then
  return 0
end
if string.sub(ARGV[2], 1, 3) == 'key' then
  renew(KEYS[1], plan(KEYS[1], ARGV[2], {}))
  return 1
end
local fields = redis.call('HKEYS', KEYS[1])
for i = 1, #fields, 500 do
  local page = {unpack(fields, i, math.min(i + 499, #fields))}
  renew(KEYS[1], plan(KEYS[1], ARGV[2], page))
end
return 1

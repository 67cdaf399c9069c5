-- Read entries, and restart the clocks of those that are there.
--
-- KEYS     the entries, at most 500
-- ARGV[i]  TTL policy of KEYS[i], see renew.lua
--
-- Returns their values, false (nil) for what is absent or no string; its clock is left alone. O(n) for n entries.
--#include renew
local values = redis.call('MGET', unpack(KEYS))
for i, key in ipairs(KEYS) do
  if values[i] then
    renew(key, plan(key, ARGV[i], {}))
  end
end
return values

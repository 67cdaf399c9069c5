-- Read entries, and restart the clocks of those that are there.
--
-- KEYS     the entries, at most 500
-- ARGV[i]  TTL policy of KEYS[i], see renew.lua
--
-- Returns their values. An entry that is absent or not a string is false (nil), and its clock is not changed. O(n) for
-- n entries.
--#include renew
local values = redis.call('MGET', unpack(KEYS))
for i, key in ipairs(KEYS) do
  if values[i] then
    renew(key, plan(key, ARGV[i], {}))
  end
end
return values

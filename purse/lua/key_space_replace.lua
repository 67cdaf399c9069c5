-- Compare and set: replace an entry's bytes only if they are still what the caller read.
--
-- KEYS[1]  the entry
-- ARGV[1]  "1" if the caller read ARGV[2], "0" if the entry was absent
-- ARGV[2]  the bytes that were read
-- ARGV[3]  encoded value to store
-- ARGV[4]  TTL policy, see key_space_store.lua
--
-- Returns {1} if ARGV[3] was stored, else {0, what is stored now or nil}. O(1).
--#include key_space_store
local stored = redis.call('GET', KEYS[1])
local expected = ARGV[1] == '1' and ARGV[2] or false
if stored ~= expected then
  return {0, stored}
end
store(KEYS[1], ARGV[3], ARGV[4])
return {1}

-- Compare and set: replace a field's bytes only if they are still what the caller read.
--
-- KEYS[1]  hash key
-- ARGV[1]  field
-- ARGV[2]  "1" if the caller read ARGV[3], "0" if the field was absent
-- ARGV[3]  the bytes that were read
-- ARGV[4]  encoded value to store
-- ARGV[5]  TTL policy, see renew.lua
--
-- Returns {1} if ARGV[4] was stored, else {0, what is stored now or nil}. O(1).
--#include renew
local stored = redis.call('HGET', KEYS[1], ARGV[1])
local expected = ARGV[2] == '1' and ARGV[3] or false
if stored ~= expected then
  return {0, stored}
end
local planned = plan(KEYS[1], ARGV[5], {ARGV[1]})
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
renew(KEYS[1], planned)
return {1}

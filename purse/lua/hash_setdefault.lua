-- Store a field only if it is absent and tell the caller what is stored now.
--
-- KEYS[1]  hash key
-- ARGV[1]  field
-- ARGV[2]  encoded value to store if the field is absent
-- ARGV[3]  TTL policy of a write, see renew.lua
-- ARGV[4]  TTL policy of a read, applied where the value was already there
--
-- Returns the value that was already there, or false (nil) if ARGV[2] was stored. O(1).
--#include renew
local stored = redis.call('HGET', KEYS[1], ARGV[1])
local planned = plan(KEYS[1], stored and ARGV[4] or ARGV[3], {ARGV[1]})
if not stored then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
renew(KEYS[1], planned)
return stored

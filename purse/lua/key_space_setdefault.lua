-- Store an entry only if it is absent and tell the caller what is stored now.
--
-- KEYS[1]  the entry
-- ARGV[1]  encoded value to store if it is absent
-- ARGV[2]  TTL policy of a write, see key_space_store.lua
-- ARGV[3]  TTL policy of a read, see renew.lua, applied where the value was already there
--
-- Returns the value that was already there, or false (nil) if ARGV[1] was stored. O(1).
--#include renew
--#include key_space_store
local stored = redis.call('GET', KEYS[1])
if stored then
  renew(KEYS[1], plan(KEYS[1], ARGV[3], {}))
else
  store(KEYS[1], ARGV[1], ARGV[2])
end
return stored

-- Store a value that was made, unless the entry has a value already, or was removed since the marker was left.
--
-- KEYS[1]  the entry
-- KEYS[2]  its marker
-- ARGV[1]  the token of the marker, see key_space_claim.lua
-- ARGV[2]  time to live in milliseconds of a marker that outlives the making
-- ARGV[3]  encoded value to store
-- ARGV[4]  TTL policy of a write, see key_space_store.lua
-- ARGV[5]  TTL policy of a read, see renew.lua, applied where there is a value
--
-- Returns {the value that was already there}, {nil, 1} if ARGV[3] was stored, {nil, 0} if the entry was removed. O(1).
--#include renew
--#include key_space_store
local marker = redis.call('GET', KEYS[2])
local valid = marker and string.sub(marker, 1, 17) == ARGV[1]
local stored = redis.call('GET', KEYS[1])
if stored then
  renew(KEYS[1], plan(KEYS[1], ARGV[5], {}))
elseif valid then
  store(KEYS[1], ARGV[3], ARGV[4])
end
if valid and string.sub(ARGV[1], 17) == '+' then
  redis.call('SET', KEYS[2], marker, 'PX', ARGV[2])
elseif valid then
  redis.pcall('UNLINK', KEYS[2])
end
return {stored, valid and 1 or 0}

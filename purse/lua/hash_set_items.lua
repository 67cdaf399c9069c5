-- Store fields that expire one by one.
--
-- KEYS[1]  hash key
-- ARGV[1]  TTL policy of scope "item", see renew.lua
-- ARGV[2]  field, ARGV[3] encoded value, and so on in pairs, at most 500 pairs
--
-- Returns how many of the fields are new. O(n) for n fields.
--#include renew
local pairs_, fields = {}, {}
for i = 2, #ARGV, 2 do
  pairs_[i - 1], pairs_[i] = ARGV[i], ARGV[i + 1]
  fields[i / 2] = ARGV[i]
end
local planned = plan(KEYS[1], ARGV[1], fields)
local added = redis.call('HSET', KEYS[1], unpack(pairs_))
renew(KEYS[1], planned)
return added

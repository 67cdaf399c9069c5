-- Execute plain commands, and then apply the TTL policies of their keys.
--
-- A script and not MULTI, because a command that fails inside EXEC does not stop the next one: a
-- refused write would still restart the clock, even on a key of another program.
--
-- KEYS      the keys that the commands name
-- ARGV[i]   the TTL policy of KEYS[i], see renew.lua. Scope "item" applies to every field of the hash
-- and then  for each command the number of its words, and the words
--
-- Returns the replies of the commands, in an array. O(n) for scope "item", otherwise as the commands.
--#include renew
local commands, at = {}, #KEYS + 1
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  commands[#commands + 1] = {unpack(ARGV, at + 1, at + words)}
  at = at + words + 1
end
for _, command in ipairs(commands) do
  permitted(unpack(command))
end
local whole = string.sub(ARGV[1], 1, 4) == 'item'
local planned = {}
for i, key in ipairs(KEYS) do
  planned[i] = not whole and plan(key, ARGV[i], {})
end
local replies = {}
for i, command in ipairs(commands) do
  replies[i] = redis.call(unpack(command))
end
for i, key in ipairs(KEYS) do
  if not whole then
    renew(key, planned[i])
  end
end
if whole then
  local fields = redis.call('HKEYS', KEYS[1])
  for i = 1, #fields, 500 do
    renew(KEYS[1], plan(KEYS[1], ARGV[1], {unpack(fields, i, math.min(i + 499, #fields))}))
  end
end
return replies

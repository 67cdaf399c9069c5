-- Add or increment members that redis-purse 2.x may have stored in another byte form. If one of the forms of a member
-- is in the set, that form is used, so a member is never in the set twice.
--
-- KEYS[1]  sorted set key
-- ARGV[1]  TTL policy, see renew.lua
-- ARGV[2]  options of ZADD, separated by spaces. With INCR the scores are added to the stored ones
-- ARGV[3]  and so on, for each member: its score, the number of its forms, and the forms, ours first
--
-- Returns for each member what ZADD answers: an integer, or with INCR the new score. O(n) for n
-- members, times the logarithm of the size of the set.
--#include renew
local key, adds = KEYS[1], ARGV[2]:find('INCR')
local planned = plan(key, ARGV[1], {})
local writes, sums, at = {}, {}, 3
while at <= #ARGV do
  local score, last = ARGV[at], at + 1 + tonumber(ARGV[at + 1])
  local member, stored = ARGV[at + 2], false
  for i = at + 2, last do
    stored = redis.call('ZSCORE', key, ARGV[i])
    if stored then
      member = ARGV[i]
      break
    end
  end
  if adds then
    local sum = (sums[member] or tonumber(stored or '0')) + tonumber(score)
    if sum ~= sum then
      return {err = 'ERR resulting score is not a number (NaN)'}
    end
    sums[member] = sum
  end
  local words = {'ZADD', key}
  for word in ARGV[2]:gmatch('%a+') do
    table.insert(words, word)
  end
  table.insert(words, score)
  table.insert(words, member)
  table.insert(writes, words)
  at = last + 1
end
for i, words in ipairs(writes) do
  writes[i] = redis.call(unpack(words))
end
renew(key, planned)
return writes

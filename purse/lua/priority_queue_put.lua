-- Put items into a priority queue, behind all that have the same priority, if there is room for all of them.
--
-- The stored member is "~", the bits of the priority, a number, and the element, as it is drawn in
-- purse/collections/priority_queue.py. The number is the server's clock in microseconds. If that is not above the last
-- number of the same priority (the clock was set back, or several items are put at once), it is that number plus one.
--
-- KEYS[1]  sorted set key
-- ARGV[1]  how many items the queue may hold, "0" = any number
-- ARGV[2]  TTL policy, see renew.lua
-- ARGV[3]  the first item's priority, ARGV[4] its bits as 16 hex digits, ARGV[5] the encoded element, and so on
--
-- Returns how many were put, or false (nil) if they do not fit and nothing was put. O(n) for n items, times log(N)
-- in a queue of N.
--#include renew
local key, most, count = KEYS[1], tonumber(ARGV[1]), (#ARGV - 2) / 3
if most > 0 and redis.call('ZCARD', key) + count > most then
  return false
end
local planned, time = plan(key, ARGV[2], {}), redis.call('TIME')
local last, words = {}, {}
for i = 3, #ARGV, 3 do
  local score, prefix = ARGV[i], '~' .. ARGV[i + 1]
  local n = last[prefix]
  if not n then
    n = time[1] * 1000000 + time[2] - 1
    local top = redis.call('ZREVRANGEBYSCORE', key, score, score, 'LIMIT', 0, 1)[1]
    if top and top:sub(1, 17) == prefix then
      n = math.max(n, tonumber(top:sub(18, 36):match('^000[0-8]%d*$') or 0)) -- below 2^53
    end
  end
  last[prefix] = n + 1
  words[#words + 1] = score
  words[#words + 1] = string.format('%s%019.0f', prefix, n + 1) .. ARGV[i + 2]
end
for i = 1, #words, 1000 do
  redis.call('ZADD', key, unpack(words, i, math.min(i + 999, #words)))
end
renew(key, planned)
return count

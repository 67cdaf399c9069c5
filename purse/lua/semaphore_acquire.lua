-- Take permits of a semaphore: as many as are wanted, if so many are free, else all that are free.
--
-- KEYS[1]  sorted set key: permit -> when it expires, in microseconds of the server's clock
-- ARGV[1]  how many permits there may be at a time
-- ARGV[2]  how long these permits are valid, in microseconds
-- ARGV[3]  the beginning of their names: "x" makes permits "x-1:60000000", "x-2:60000000", ...
-- ARGV[4]  how many are wanted
--
-- The name of a permit says how long it is valid. A permit that would expire later than that from now was taken or
-- extended before the server's clock was set back, and its time is shortened.
--
-- Returns {how many were taken, microseconds until the next one expires}. O(n log(N)) for n permits taken and expired.
--#include foreign
--#include whole
local key, limit, lease, wanted = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
for _, found in ipairs({first, last}) do
  if found[2] and math.abs(found[2] - now) > 1e15 then -- thirty years away: scores of another program
    return foreign('a member that is not a permit', found[1])
  end
end
redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
if last[2] and last[2] - now > lease then
  for _, permit in ipairs(redis.call('ZRANGEBYSCORE', key, string.format('(%.0f', now + lease), '+inf')) do
    local until_then = now + (whole(string.match(permit, ':(%d+)$') or '') or lease)
    if tonumber(redis.call('ZSCORE', key, permit)) > until_then then
      redis.call('ZADD', key, string.format('%.0f', until_then), permit)
    end
  end
end
local taken = math.max(0, math.min(limit - redis.call('ZCARD', key), wanted))
if taken > 0 then
  last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  local left = math.max(lease, (last[2] or now) - now)
  local ms = string.format('%.0f', math.ceil(left / 1000) + 1000)
  local there = redis.call('PEXPIRE', key, ms) -- before the rest: if it is forbidden, nothing was written
  local expiry = string.format('%.0f', now + lease)
  for i = 1, taken do
    redis.call('ZADD', key, expiry, string.format('%s-%d:%.0f', ARGV[3], i, lease))
  end
  if there == 0 then
    redis.call('PEXPIRE', key, ms)
  end
end
first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
return {taken, first[2] and first[2] - now or 0}

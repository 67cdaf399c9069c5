-- Take permits of a semaphore, as many as are wanted and free.
--
-- KEYS[1]  sorted set key: permit -> when it expires, in microseconds of the server's clock
-- ARGV[1]  how many permits there may be at a time
-- ARGV[2]  how long these are good for, in microseconds
-- ARGV[3]  what their names begin with: "x" makes permits "x-1", "x-2", ...
-- ARGV[4]  how many are wanted
--
-- Returns {how many were taken, microseconds until the next one expires}. O(n log(N)) for n permits taken and expired.
local key, limit, lease, wanted = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
if first[2] and first[2] - now < -1e15 then -- expired thirty years ago: somebody else's scores
  return redis.error_reply('WRONGTYPE the sorted set at this key is not a semaphore')
end
redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now))
local taken = math.max(0, math.min(limit - redis.call('ZCARD', key), wanted))
if taken > 0 then
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  local left = math.max(lease, (last[2] or now) - now)
  local ms = string.format('%.0f', math.ceil(left / 1000) + 1000)
  local there = redis.call('PEXPIRE', key, ms) -- before the rest: if it is forbidden, nothing was written
  local expiry = string.format('%.0f', now + lease)
  for i = 1, taken do
    redis.call('ZADD', key, expiry, ARGV[3] .. '-' .. i)
  end
  if there == 0 then
    redis.call('PEXPIRE', key, ms)
  end
end
first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
return {taken, first[2] and first[2] - now or 0}

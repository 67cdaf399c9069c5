-- Start the time of a permit again, if it has not expired.
--
-- KEYS[1]  sorted set key, as in semaphore_acquire.lua
-- ARGV[1]  the permit
-- ARGV[2]  how long it is valid from now on, in microseconds
--
-- Returns 1, or 0 if it is not held any more. Then it stays expired. O(log(N)).
local key, lease = KEYS[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local expiry = redis.call('ZSCORE', key, ARGV[1])
if not expiry or tonumber(expiry) <= now then
  return 0
end
local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
local left = math.max(lease, math.min(last[2] - now, 1e15)) -- a foreign score may be infinite
redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(left / 1000) + 1000))
redis.call('ZADD', key, 'XX', string.format('%.0f', now + lease), ARGV[1])
return 1

-- Give permits back.
--
-- KEYS[1]  sorted set key, as in semaphore_acquire.lua
-- ARGV     the permits
--
-- Returns how many of them were still valid. O(n log(N)).
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local good = 0
for _, permit in ipairs(ARGV) do
  local expiry = redis.call('ZSCORE', KEYS[1], permit)
  if expiry then
    redis.call('ZREM', KEYS[1], permit)
    if tonumber(expiry) > now then
      good = good + 1
    end
  end
end
return good

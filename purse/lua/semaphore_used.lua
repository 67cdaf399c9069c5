-- Count the permits that are valid now.
--
-- KEYS[1]  sorted set key, as in semaphore_acquire.lua
--
-- Returns how many. O(log(N)).
local time = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', time[1] * 1000000 + time[2]), '+inf')

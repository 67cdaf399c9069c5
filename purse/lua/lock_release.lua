-- Give up a lock, or the place in the queue of those who wait for it; for its owner alone.
--
-- KEYS[1]  lock
-- KEYS[2]  queue
-- KEYS[3]  sessions; not needed any more when nobody waits
-- ARGV[1]  owner
--
-- Returns 1 if the lock was the owner's, or else 0: whatever the key holds then is left alone. O(log n) for n places.
if redis.call('ZREM', KEYS[2], ARGV[1]) == 1 and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[3])
end
if redis.pcall('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0

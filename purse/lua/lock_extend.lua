-- Start the time of a lock again, for its owner alone.
--
-- KEYS[1]  lock
-- ARGV[1]  owner
-- ARGV[2]  lease in milliseconds
--
-- Returns 1 if the owner has the lock, or else 0. Then the key is not changed, whatever it holds. O(1).
if redis.pcall('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0

-- How long a lock is the owner's on one master.
--
-- KEYS[1]  lock: a string, the owner's name
-- ARGV[1]  owner
--
-- Returns the milliseconds left, 0 if it is not the owner's. O(1).
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PTTL', KEYS[1])

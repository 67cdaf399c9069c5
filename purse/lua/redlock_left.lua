-- How long an owner still has a lock on one master.
--
-- KEYS[1]  lock: a string, the owner's name
-- ARGV[1]  owner
--
-- Returns the milliseconds left, or 0 if the owner does not have it. O(1).
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PTTL', KEYS[1])

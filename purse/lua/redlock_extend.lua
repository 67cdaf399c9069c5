-- Start the lease of a lock again on one master, if the owner has it there.
--
-- KEYS[1]  lock: a string, the owner's name
-- ARGV[1]  owner
-- ARGV[2]  lease in milliseconds
--
-- Returns 1, or 0 if the owner does not have it. Then nothing is changed, and the key is not created again. O(1).
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])

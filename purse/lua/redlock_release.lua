-- Give a lock back on one master, if the owner has it there.
--
-- KEYS[1]  lock: a string, the owner's name
-- KEYS[2]  waiting: a string, the name of an event loop that was refused a moment ago
-- ARGV[1]  owner
-- ARGV[2]  name of the owner's event loop
--
-- Returns 0 if the owner does not have it (then the key is not changed, whatever it holds), 1 if it had it, and 2 if it
-- had it and another event loop waits for it. O(1).
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
local waiting = redis.pcall('GET', KEYS[2])
if type(waiting) ~= 'string' or waiting == ARGV[2] then
  return 1
end
-- A note that lasts longer than notes do was written before the server's clock was set back.
return redis.call('PTTL', KEYS[2]) <= 300 and 2 or 1

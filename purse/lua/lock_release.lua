-- Give up a lock, or the place in the queue of those who wait for it; for its owners alone.
--
-- KEYS[1]  lock
-- KEYS[2]  queue
-- KEYS[3]  sessions; not needed any more when nobody waits
-- ARGV     one owner, or several
--
-- Returns 1 if the lock was an owner's, or else 0: whatever the key holds then is left alone. O(log n) for n places and
-- each owner.
local left, held = 0, redis.pcall('GET', KEYS[1])
local released = 0
for _, owner in ipairs(ARGV) do
  local removed = redis.pcall('ZREM', KEYS[2], owner)
  if type(removed) == 'number' then
    left = left + removed
  elseif string.sub(removed.err, 1, 9) ~= 'WRONGTYPE' then -- of a queue that is none nobody has a place
    return removed
  end
  if held == owner then
    released = redis.call('DEL', KEYS[1])
  end
end
if left > 0 and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[3])
end
return released

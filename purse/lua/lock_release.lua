-- Give up a lock, or the place in the queue of the waiting owners. For its owners alone.
--
-- KEYS[1]  lock
-- KEYS[2]  queue
-- KEYS[3]  sessions, removed when no owner waits
-- ARGV     one owner, or several
--
-- Returns 1 if one of the owners had the lock, or else 0. Then the key is not changed, whatever it holds. O(log n) for
-- n places and each owner.
local left, held = 0, redis.pcall('GET', KEYS[1])
local released = 0
for _, owner in ipairs(ARGV) do
  local removed = redis.pcall('ZREM', KEYS[2], owner)
  if type(removed) == 'number' then
    left = left + removed
  elseif string.sub(removed.err, 1, 9) ~= 'WRONGTYPE' then -- another type is not a queue: no places
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

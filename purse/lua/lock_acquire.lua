-- Take a lock that is free, if nobody who is alive came before; or else a place in the queue of those who wait for it.
--
-- KEYS[1]  lock: a string, the owner's name
-- KEYS[2]  fence: an integer, the token of the latest holder
-- KEYS[3]  queue: a sorted set, owner -> ticket
-- KEYS[4]  sessions: a sorted set, session -> server time in milliseconds at which its places are forfeit
-- ARGV[1]  owner: its session, "/", a number
-- ARGV[2]  lease in milliseconds
-- ARGV[3]  the owner of its session who came first and still waits; those of it who stand before that one are gone
-- ARGV[4]  milliseconds for which the session keeps its places from now on, "0" = take it now or not at all
--
-- Returns {1, token} if the lock is the owner's, now or already; or else {0, milliseconds after which the lock or the
-- turn may be free although nothing was heard (-1: never), 1 if the lock is held or 0 if it is another's turn, what
-- KEYS[2] holds}.
-- Asking twice is harmless. O(log n) for n places, and once for each place that is forfeit.
local lock, fence, queue, sessions = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner, lease_ms, ahead, place_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local holder = redis.call('GET', lock)
if holder == owner then
  return {1, tonumber(redis.call('GET', fence))}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local session = string.match(owner, '^[^/]+')
if place_ms > 0 then
  redis.call('ZADD', sessions, now + place_ms, session)
  if not redis.call('ZSCORE', queue, owner) then
    local last = redis.call('ZREVRANGE', queue, 0, 0, 'WITHSCORES')[2]
    redis.call('ZADD', queue, (last or 0) + 1, owner)
  end
  redis.call('PEXPIRE', queue, place_ms)
  redis.call('PEXPIRE', sessions, place_ms)
end
local first, forfeit_at
while true do
  first = redis.call('ZRANGE', queue, 0, 0)[1]
  if not first or first == owner then
    break
  end
  local its_session = string.match(first, '^[^/]+')
  forfeit_at = tonumber(redis.call('ZSCORE', sessions, its_session) or 0)
  if its_session == session and first ~= ahead and place_ms > 0 then
    forfeit_at = 0
  end
  if forfeit_at > now then
    break
  end
  redis.call('ZREM', queue, first)
end
if holder then
  return {0, redis.call('PTTL', lock), 1, redis.call('GET', fence)}
end
if first and first ~= owner then
  return {0, forfeit_at - now, 0, redis.call('GET', fence)}
end
if redis.call('ZREM', queue, owner) == 1 and redis.call('EXISTS', queue) == 0 then
  redis.call('DEL', sessions)
end
redis.call('SET', lock, owner, 'PX', lease_ms)
return {1, redis.call('INCR', fence)}

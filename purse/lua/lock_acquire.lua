-- Take a lock that is free, if no live owner came before. Otherwise take a place in the queue of the waiting owners.
--
-- KEYS[1]  lock: a string, the owner's name
-- KEYS[2]  fence: an integer, the token of the latest holder
-- KEYS[3]  queue: a sorted set, owner -> ticket
-- KEYS[4]  sessions: a sorted set, session -> server time in milliseconds at which its places are forfeit
-- ARGV[1]  owner: its session, "/", a number, "/", its lease in milliseconds
-- ARGV[2]  lease in milliseconds
-- ARGV[3]  the owner of its session that came first and still waits. Earlier owners of that session have left
-- ARGV[4]  milliseconds for which a session keeps its places
-- ARGV[5]  "1" to wait for it, "0" = take it now or not at all
--
-- A lease or a place that lasts longer than its own time from now was written before the server's clock was set back.
-- Then it is shortened: a session keeps its places, and a holder the lock, as if they had asked now.
--
-- Returns {1, token} if the owner has the lock, now or already. Else {0, milliseconds after which the lock or the turn
-- may be free although no change was reported (-1: never), 1 if the lock is held or 0 if it is another's turn, the
-- value of KEYS[2]}.
-- It can be repeated without harm. O(log n) for n places, and once for each place that is forfeit.
--#include foreign
--#include kept
--#include whole
--#include kept_token
local lock, fence, queue, sessions = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner, lease_ms, ahead, place_ms, waits = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local holder = redis.call('GET', lock)
local token, fault = kept_token(fence)
if fault then
  return fault
end
if holder == owner then
  return {1, token and whole(token) or redis.call('INCR', fence)}
end
for _, key in ipairs({queue, sessions}) do -- before anything is written
  fault = select(2, kept('ZRANGE', key, 0, 0))
  if fault then
    return fault
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local session = string.match(owner, '^[^/]+')
if waits then
  redis.call('ZADD', sessions, now + place_ms, session)
  if not redis.call('ZSCORE', queue, owner) then
    local last = redis.call('ZREVRANGE', queue, 0, 0, 'WITHSCORES')[2]
    redis.call('ZADD', queue, (last or 0) + 1, owner)
  end
  redis.call('PEXPIRE', queue, place_ms)
  redis.call('PEXPIRE', sessions, place_ms)
end
local first, forfeit_at
local gone = 0
while true do
  first = redis.call('ZRANGE', queue, 0, 0)[1]
  if not first or first == owner then
    break
  end
  local its_session = string.match(first, '^[^/]+')
  forfeit_at = its_session and tonumber(redis.call('ZSCORE', sessions, its_session) or 0) or 0
  if its_session == session and first ~= ahead and waits then
    forfeit_at = 0
  end
  if forfeit_at > now + place_ms then
    forfeit_at = now + place_ms
    redis.call('ZADD', sessions, forfeit_at, its_session)
  end
  if forfeit_at > now then
    break
  end
  gone = gone + redis.call('ZREM', queue, first)
end
if holder then
  local left, its_lease = redis.call('PTTL', lock), whole(string.match(holder, '^[^/]+/%d+/(%d+)$') or '')
  if its_lease and left > its_lease then
    redis.call('PEXPIRE', lock, its_lease)
    left = its_lease
  end
  return {0, left, 1, token}
end
if first and first ~= owner then
  return {0, forfeit_at - now, 0, token}
end
gone = gone + redis.call('ZREM', queue, owner)
if gone > 0 and redis.call('EXISTS', queue) == 0 then
  redis.call('DEL', sessions)
end
redis.call('SET', lock, owner, 'PX', lease_ms)
return {1, redis.call('INCR', fence)}

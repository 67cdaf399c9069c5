-- Included by the scripts of a key space that write: SET, with the entry's TTL policy.
--
-- The same command stores the value and sets the clock, so no failure is possible between the two. A policy is
-- written as for renew.lua, and "" keeps the time that an entry has left.
local function store(key, value, policy)
  local once, ms = string.match(policy, '^key(%-?%a*):(%d+)$')
  if not ms or (once ~= '' and redis.call('PTTL', key) > -1) then
    redis.call('SET', key, value, 'KEEPTTL')
  else
    redis.call('SET', key, value, 'PX', ms)
  end
end

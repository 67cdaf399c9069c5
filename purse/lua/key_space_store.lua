-- Included by the scripts of a key space that write: SET, with what the entry's TTL policy promises.
--
-- The clock is set by the very command that stores, so nothing is left to fail between the two. A policy is
-- what renew.lua takes; "" keeps the time that an entry has left.
local function store(key, value, policy)
  local once, ms = string.match(policy, '^key(%-?%a*):(%d+)$')
  if not ms or (once ~= '' and redis.call('PTTL', key) > -1) then
    redis.call('SET', key, value, 'KEEPTTL')
  else
    redis.call('SET', key, value, 'PX', ms)
  end
end

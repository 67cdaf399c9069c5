-- Included by scripts that write: apply a TTL policy.
--
-- A policy is one argument, so that MONITOR shows it in one piece:
--   ""                no policy
--   "key:60000"       restart the key's clock at 60000 ms
--   "key-once:60000"  start it only where the key has none
--   "item:60000"      the same two, for each hash field by itself
--   "item-once:60000"

-- permitted() raises the error of the server before anything is written. (Redis 6.2 cannot check permissions.)
local function permitted(...)
  if redis.acl_check_cmd and not redis.acl_check_cmd(...) then
    error({err = 'NOPERM this user has no permissions to run ' .. select(1, ...) .. ', which is needed here'})
  end
end

-- plan() runs before the first write and does everything that can fail (an old server does not know
-- HPEXPIRE, an ACL may forbid it or PEXPIRE), because a script is not rolled back. Its probe changes
-- nothing: GT with 1 ms is never later than the present time. It also reads the time that fields have
-- left, because HSET removes it.
local function plan(key, policy, fields)
  local scope, once, ms = string.match(policy, '^(%a+)(%-?%a*):(%d+)$')
  local left = {}
  if scope == 'key' then
    permitted('PEXPIRE', key, ms)
  end
  if scope == 'item' then
    redis.call('HPEXPIRE', key, 1, 'GT', 'FIELDS', 1, fields[1])
    if once ~= '' then
      left = redis.call('HPTTL', key, 'FIELDS', #fields, unpack(fields)) or left
    end
  end
  return {scope = scope, once = once ~= '', ms = ms, fields = fields, left = left}
end

-- renew() runs after the write and applies the policy that plan() has prepared.
local function renew(key, planned)
  if planned.scope == 'key' then
    if not planned.once or redis.call('PTTL', key) == -1 then
      redis.call('PEXPIRE', key, planned.ms)
    end
  elseif planned.scope == 'item' and not planned.once then
    redis.call('HPEXPIRE', key, planned.ms, 'FIELDS', #planned.fields, unpack(planned.fields))
  elseif planned.scope == 'item' then
    for i, field in ipairs(planned.fields) do
      local left = planned.left[i]
      redis.call('HPEXPIRE', key, left and left > 0 and left or planned.ms, 'FIELDS', 1, field)
    end
  end
end

-- Take a lock on one master, if it is free there and this master may vote.
--
-- KEYS[1]  lock: a string, the owner's name
-- KEYS[2]  waiting: a string, the name of an event loop that was refused a moment ago
-- KEYS[3]  fence: a decimal integer, the greatest token that was accepted here
-- ARGV[1]  owner
-- ARGV[2]  lease in milliseconds
-- ARGV[3]  seconds for which the server must have been up, "0" = any
-- ARGV[4]  name of the event loop that asks, to be noted if it is refused, "" = do not note it
-- ARGV[5]  proposed token, "" = without tokens
--
-- Returns {vote, fence or "", run, uptime}. run and uptime are only there if a fence is needed and missing:
--   "took"      the owner has the lock, and its token is the fence
--   "held"      another owner has the lock
--   "young"     the server started a moment ago, so it may have lost a holder
--   "unfenced"  it has no fence, so it may have lost a token
--   "low"       the proposed token is not above the fence
-- O(1).
--#include foreign
--#include kept
--#include whole
--#include kept_token
local fenced = ARGV[5] ~= ''
local fence, fault = false, false
if fenced then
  fence, fault = kept_token(KEYS[3])
end
if fault then
  return fault
end
local run, uptime = '', 0
if (fenced and not fence) or ARGV[3] ~= '0' then
  local info = redis.call('INFO', 'server')
  run = string.match(info, 'run_id:(%w+)')
  uptime = tonumber(string.match(info, 'uptime_in_seconds:(%d+)'))
end
local vote = 'took'
if redis.call('EXISTS', KEYS[1]) == 1 then
  vote = 'held'
  if ARGV[4] ~= '' then
    redis.call('SET', KEYS[2], ARGV[4], 'PX', 300)
  end
elseif uptime < tonumber(ARGV[3]) then
  vote = 'young'
elseif fenced and not fence then
  vote = 'unfenced'
elseif fenced and whole(fence) >= tonumber(ARGV[5]) then
  vote = 'low'
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  if fenced then
    redis.call('SET', KEYS[3], ARGV[5])
    fence = ARGV[5]
  end
end
return {vote, fence or '', run, uptime}

-- Remove elements that equal a value which may be stored in several byte forms.
--
-- KEYS[1]  list key
-- ARGV[1]  how many: 0 = all, n > 0 = the first n from the head, n < 0 = the last -n
-- ARGV[2]  a mark that no element of the list equals: random bytes
-- ARGV[3]  TTL policy, see renew.lua
-- ARGV[4]  the first form, and so on
--
-- Returns how many were removed. O(n) for a list of n; with a count, O(n) for each element found.
--#include renew
local key, count, mark = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local planned = plan(key, ARGV[3], {})
local removed = redis.call('LREM', key, 0, mark) -- removes nothing: fails here if it is forbidden
local rank = count < 0 and -1 or 1
if count == 0 then
  for i = 4, #ARGV do
    removed = removed + redis.call('LREM', key, 0, ARGV[i])
  end
end
while removed < math.abs(count) do
  local found
  for i = 4, #ARGV do
    local at = redis.call('LPOS', key, ARGV[i], 'RANK', rank)
    if at and (not found or (at - found) * rank < 0) then
      found = at
    end
  end
  if not found then
    break
  end
  redis.call('LSET', key, found, mark)
  redis.call('LREM', key, rank, mark)
  removed = removed + 1
end
renew(key, planned)
return removed

-- Find out whether every member of a set is a member of another, without sending any of them.
--
-- KEYS[1]  the set that may be a part
-- KEYS[2]  the set that may be the whole
--
-- Returns 1 or 0. O(n) for n members of KEYS[1], or O(1) if it is the bigger set. The search ends at the first member
-- that is not in KEYS[2].
local part, whole = KEYS[1], KEYS[2]
if redis.call('SCARD', part) > redis.call('SCARD', whole) then
  return 0
end
local cursor = '0'
repeat
  local page = redis.call('SSCAN', part, cursor, 'COUNT', 500)
  local members = page[2]
  for i = 1, #members, 500 do
    for _, there in ipairs(redis.call('SMISMEMBER', whole, unpack(members, i, math.min(i + 499, #members)))) do
      if there == 0 then
        return 0
      end
    end
  end
  cursor = page[1]
until cursor == '0'
return 1

-- Find the first element that equals a value which may be stored in several byte forms.
--
-- KEYS[1]  list key
-- ARGV[1]  the first form, and so on, as JSON. The members of objects may have any order
--
-- Returns the index, or false (nil) if there is none. O(n) for a list of n.
--#include equal_forms
local first = false
for _, form in ipairs(equal_forms(KEYS[1], ARGV)) do
  local at = redis.call('LPOS', KEYS[1], form)
  if at and (not first or at < first) then
    first = at
  end
end
return first

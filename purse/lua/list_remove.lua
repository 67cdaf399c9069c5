-- Remove elements that equal a value which may be stored in several byte forms.
--
-- KEYS[1]  list key
-- ARGV[1]  how many: 0 = all, n > 0 = the first n from the head, n < 0 = the last -n
-- ARGV[2]  a mark that no element of the list equals: random bytes
-- ARGV[3]  TTL policy, see renew.lua
-- ARGV[4]  the first form, and so on
--
-- Returns how many were removed. O(n) for a list of n. With a count, O(n) for each element found.
--#include renew
--#include remove_forms
local planned = plan(KEYS[1], ARGV[3], {})
local removed = remove_forms(KEYS[1], tonumber(ARGV[1]), ARGV[2], {unpack(ARGV, 4)})
renew(KEYS[1], planned)
return removed
